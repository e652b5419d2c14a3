//! The dashboard, the alerts and the page of operations: they name metrics, labels and values of the crate only.

use std::collections::BTreeSet;
use std::fs;

use tidings::endpoint::RefusalCause;
use tidings::instruments::{METRICS, Metric, MetricKind};
use tidings::{GapReason, SessionEnd, Transport};

fn document(name: &str) -> String {
    fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Returns the values that a label of a metric may have. `None`: the application chooses them.
fn values(metric: &Metric, label: &str) -> Option<Vec<&'static str>> {
    match label {
        "transport" => Some(Transport::ALL.iter().map(|transport| transport.as_str()).collect()),
        "cause" => Some(RefusalCause::ALL.iter().map(|cause| cause.as_str()).collect()),
        "reason" if metric.name == "tidings_gaps_total" => {
            use GapReason::{Epoch, Evicted, Invalid, Overflow, TooLarge};
            Some([Evicted, Overflow, Epoch, Invalid, TooLarge].map(GapReason::as_str).to_vec())
        }
        "reason" => Some(SessionEnd::ALL.iter().map(|end| end.as_str()).collect()),
        _ => None,
    }
}

/// Returns the names of metrics in a text, each with the text after it.
fn names(text: &str) -> Vec<(&str, &str)> {
    let starts = text.match_indices("tidings_").map(|(at, _)| &text[at..]);
    let name = |text: &str| text.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(text.len());
    starts.map(|text| text.split_at(name(text))).collect()
}

/// Returns the metric of a series' name.
fn metric(name: &str) -> Option<&'static Metric> {
    let of_histogram = |metric: &&Metric| {
        let suffix = name.strip_prefix(metric.name);
        metric.kind == MetricKind::Histogram
            && suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
    };
    let is_named = |metric: &&Metric| metric.name == name && metric.kind != MetricKind::Histogram;
    METRICS.iter().find(is_named).or_else(|| METRICS.iter().find(of_histogram))
}

/// Returns the faults of expressions: unknown metrics, and labels or values that a metric never has.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, rest) in names(text) {
        let Some(metric) = metric(name) else {
            faults.push(format!("no metric {name}"));
            continue;
        };
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or("");
        for matcher in matchers.split(',').filter(|matcher| !matcher.is_empty()) {
            let (label, value) = matcher.split_once('=').unwrap();
            let allowed = values(metric, label).filter(|_| metric.labels.contains(&label));
            for value in value.trim_matches(['~', '"']).split('|') {
                if !allowed.as_ref().is_some_and(|allowed| allowed.contains(&value)) {
                    faults.push(format!("{name} has no {label} {value}"));
                }
            }
        }
    }
    faults
}

/// Returns the labels by which expressions group that none of their metrics has.
fn foreign_groups(expression: &str) -> Vec<String> {
    let known: BTreeSet<_> =
        names(expression).into_iter().filter_map(|(name, _)| metric(name)).flat_map(|metric| metric.labels).collect();
    let groups = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let labels = groups.flat_map(|group| group.split(", ")).filter(|label| *label != "le" && !known.contains(label));
    labels.map(str::to_owned).collect()
}

/// Returns the expressions of the dashboard.
fn panels() -> Vec<(String, Vec<String>)> {
    let dashboard: serde_json::Value = serde_json::from_str(&document("grafana.json")).unwrap();
    let expression = |target: &serde_json::Value| target["expr"].as_str().unwrap().to_owned();
    let panel = |panel: &serde_json::Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        (title, panel["targets"].as_array().unwrap().iter().map(expression).collect())
    };
    dashboard["panels"].as_array().unwrap().iter().map(panel).collect()
}

#[test]
fn faults_of_expressions_are_found() {
    let expressions = [
        "sum(tidings_session)",
        r#"tidings_sessions{transport="fax"}"#,
        r#"tidings_sessions{reason="gone"}"#,
        r#"rate(tidings_gaps_total{reason=~"evicted|stalled"}[5m])"#,
        "tidings_delivery_delay_seconds",
        "tidings_sessions_bucket",
    ];
    for expression in expressions {
        assert_eq!(faults(expression).len(), 1, "{expression}: {:?}", faults(expression));
    }
    assert_eq!(foreign_groups("sum by (le, hub, cause) (tidings_hub_topics)"), ["cause"]);
}

#[test]
fn dashboard_and_alerts_use_metrics_labels_and_values_of_the_crate() {
    let panels = panels();
    assert!(panels.len() > 5);
    for (title, expressions) in &panels {
        assert!(title.ends_with('?') && !expressions.is_empty(), "{title}");
        for expression in expressions {
            assert_eq!(foreign_groups(expression), [""; 0], "{title}: {expression}");
        }
    }
    let alerts = document("alerts.yml");
    let lines = alerts.lines().filter(|line| line.contains("expr: "));
    for line in lines {
        assert_eq!(foreign_groups(line), [""; 0], "{line}");
    }
    let all: Vec<_> = panels.into_iter().flat_map(|(_, expressions)| expressions).chain([alerts]).collect();
    let faults: Vec<_> = all.iter().flat_map(|text| faults(text)).collect();
    assert_eq!(faults, [""; 0]);

    let used: BTreeSet<_> = all.iter().flat_map(|text| names(text)).filter_map(|(name, _)| metric(name)).collect();
    let unused: Vec<_> = METRICS.iter().filter(|metric| !used.contains(metric)).map(|metric| metric.name).collect();
    assert_eq!(unused, [""; 0], "metrics that no panel and no alert shows");
}

#[test]
fn page_of_operations_has_the_table_of_metrics_and_of_alerts() {
    let page = document("operations.md");
    let unknown: Vec<_> =
        names(&page).into_iter().map(|(name, _)| name).filter(|name| metric(name).is_none()).collect();
    assert_eq!(unknown, ["tidings_delivery_delay_seconds"], "apart from the name of a histogram, which is no series");
    let mut rows = vec!["| metric | kind | labels | |".to_owned(), "|---|---|---|---|".to_owned()];
    for metric in METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        rows.push(format!(
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        ));
    }
    let table = page.split("<!-- metrics -->\n").nth(1).unwrap().split("<!-- end -->").next().unwrap();
    assert_eq!(table.lines().collect::<Vec<_>>(), rows, "the table should be:\n{}\n", rows.join("\n"));

    let alerts = document("alerts.yml");
    let alerts: Vec<_> = alerts.lines().filter_map(|line| line.split_once("- alert: ")).map(|(_, name)| name).collect();
    let listed: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `Tidings")?.split('`').next()).collect();
    let listed: Vec<_> = listed.iter().map(|name| format!("Tidings{name}")).collect();
    assert_eq!(listed, alerts);
}
