use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use tidings::LocalHub;
use tidings::conformance::{self, Capabilities, HubOptions, HubUnderTest};
use tidings::disk::{DiskHub, Durability};

/// Hubs in the folders of a directory, which is removed at the end.
struct DiskHubs {
    directory: PathBuf,
    /// Whether an open finds no history.
    is_forgetful: bool,
}

impl DiskHubs {
    fn new(name: &str, is_forgetful: bool) -> Self {
        // In memory if possible: each open waits for a disk several times, also for what other processes write.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = parent.join(format!("tidings-conformance-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        Self { directory, is_forgetful }
    }
}

impl Drop for DiskHubs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl HubUnderTest for DiskHubs {
    type Hub = DiskHub;

    async fn open(&self, options: &HubOptions) -> Result<DiskHub, Box<dyn Error + Send + Sync>> {
        let memory = LocalHub::builder().retain(options.retention()).live_buffer(0);
        let path = self.directory.join(options.name());
        if self.is_forgetful {
            let _ = fs::remove_dir_all(&path);
        }
        let hub = DiskHub::builder(path).memory(memory);
        // A test has no power loss.
        let hub = hub.retain(options.retention()).retain_for(HubOptions::KEYED_TOPICS, options.keyed_retention());
        Ok(hub.durability(Durability::Written).open()?)
    }

    async fn close(&self, hub: DiskHub) {
        hub.close();
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_topic_ends().with_keyed_topics().with_restarts()
    }
}

#[test]
fn hub_on_disk_conforms() {
    match conformance::hub(DiskHubs::new("hub", false)) {
        Ok(report) => println!("{report}"),
        Err(failures) => panic!("{failures}"),
    }
}

#[test]
fn lost_history_is_found() {
    let failures = conformance::hub(DiskHubs::new("forgetful", true)).unwrap_err();
    assert!(failures.iter().any(|failure| failure.case() == "restart, resume at every cut"), "{failures}");
}
