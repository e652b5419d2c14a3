"""Opens pages in WebKitGTK, each in a session of its own: webkit.py URL… Needs a display."""

import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gtk, WebKit2  # noqa: E402

for url in sys.argv[1:]:
    window = Gtk.Window()
    view = WebKit2.WebView.new_with_context(WebKit2.WebContext.new_ephemeral())
    window.add(view)
    window.show_all()
    view.load_uri(url)
Gtk.main()
