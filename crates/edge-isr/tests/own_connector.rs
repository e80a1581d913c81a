//! The example of a connector of one's own does what it says.

#[path = "../examples/own_connector/purge_log.rs"]
mod example;

#[tokio::test]
async fn a_connector_from_outside_is_named_in_the_configuration_and_purged() {
    let folder = tempfile::tempdir().unwrap();
    let purged = example::run(folder.path().join("purged")).await.unwrap();
    assert_eq!(purged, "post:42\nposts:all\n");
}

#[test]
fn what_the_connector_says_of_its_options_names_the_connector() {
    let registry = edge_isr::connectors::Registry::empty().and(
        edge_isr::connectors::ConnectorKind::new("purge-log", example::connect),
    );
    let refused = |lines: &str| {
        let toml = format!("[[connector]]\nkind = \"purge-log\"\nname = \"mine\"\n{lines}");
        let config = edge_isr::config::parse(&toml).unwrap().config;
        let error = edge_isr::check_connectors(&config, &registry).unwrap_err();
        edge_isr::core::chain(&error)
    };
    let front = "the connector `mine` cannot be used: see [[connector]] in the configuration: ";
    assert_eq!(
        refused(""),
        format!("{front}file is missing: name a file to write to")
    );
    assert_eq!(
        refused("fil = \"x\""),
        format!("{front}fil is no option of this kind: did you mean `file`?")
    );
}
