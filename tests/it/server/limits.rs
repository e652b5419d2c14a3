use axum::Router;
use tidings::server::serve;
use tokio::net::TcpListener;

/// Returns the limits of a server as its `Debug` shows them.
async fn limits() -> String {
    format!("{:?}", serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), Router::<()>::new()))
}

#[tokio::test]
async fn table_of_limits_has_every_setter_with_its_default() {
    let source = include_str!("../../../src/server/serve.rs");
    let (limits, mut setters) = (limits().await, Vec::new());
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | ")?.strip_suffix(" |"));
    for row in rows.filter(|row| row.contains("[`")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let [what, default, setter, reason] = cells[..] else { panic!("{row}") };
        let setter = setter.strip_prefix("[`").unwrap().split('`').next().unwrap();
        let field = match (setter, setters.contains(&setter)) {
            ("http2_keep_alive", false) => "keep_alive_interval",
            ("http2_keep_alive", true) => "keep_alive_timeout",
            (setter, _) => setter,
        };
        let (number, unit) = default.split_once(' ').unwrap_or((default, ""));
        let number: usize = number.replace(',', "").parse().unwrap();
        let value = match unit {
            "s" => format!("{number}s"),
            "KiB" => (number * 1024).to_string(),
            _ => number.to_string(),
        };
        assert!(limits.contains(&format!(" {field}: {value}")), "{what}: {field} is not {value} in {limits}");
        assert!(!reason.is_empty());
        setters.push(setter);
    }
    let methods = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")?.split_once("(mut self, "));
    for (method, parameters) in methods.filter(|(_, parameters)| !parameters.contains("host")) {
        assert!(setters.contains(&method), "{method}({parameters}");
    }
    assert_eq!(setters.len(), 11);
}
