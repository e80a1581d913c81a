//! Rules about manifests: lints and versions are stated once, in the root.

use anyhow::Context;
use toml::{Table, Value};

use super::Finding;

/// The tables that list dependencies, at the top of a manifest or under a target.
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What is wrong with the manifest at `path`, which holds `text`.
///
/// # Errors
///
/// When it is not TOML.
pub(super) fn check(path: &str, text: &str) -> anyhow::Result<Vec<Finding>> {
    let manifest: Table = text
        .parse()
        .with_context(|| format!("cannot read {path}"))?;
    let mut findings = Vec::new();
    if !takes_from_workspace(manifest.get("lints")) {
        findings.push(format!("{path}: add `[lints] workspace = true`"));
    }
    for (name, dependency) in dependencies(&manifest) {
        if !takes_from_workspace(Some(dependency)) {
            findings.push(format!(
                "{path}: state the version of {name} in the root's [workspace.dependencies], \
                 and write `{name}.workspace = true` here"
            ));
        }
    }
    Ok(findings)
}

/// Every dependency of a package, also those of one target only.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    std::iter::once(manifest)
        .chain(
            targets
                .into_iter()
                .flat_map(Table::values)
                .filter_map(Value::as_table),
        )
        .flat_map(|table| {
            DEPENDENCY_TABLES
                .iter()
                .filter_map(|name| table.get(*name)?.as_table())
        })
        .flatten()
}

fn takes_from_workspace(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[track_caller]
    fn check_finds(manifest: &str, expected: &[&str]) {
        assert_eq!(check("a/Cargo.toml", manifest).unwrap(), expected);
    }

    #[test]
    fn a_manifest_that_takes_everything_from_the_root_is_tidy() {
        let text =
            "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"f\"] }\n";
        check_finds(&format!("{LINTS}{text}"), &[]);
    }

    #[test]
    fn missing_lints_are_found() {
        let expected = "a/Cargo.toml: add `[lints] workspace = true`";
        check_finds("[package]\nname = \"a\"\n", &[expected]);
        check_finds("[lints.rust]\nmissing_docs = \"warn\"\n", &[expected]);
    }

    #[test]
    fn a_version_is_found_in_every_kind_of_table() {
        for table in [
            "dependencies",
            "dev-dependencies",
            "target.'cfg(unix)'.build-dependencies",
        ] {
            for dependency in ["\"1\"", "{ version = \"1\" }", "{ path = \"../b\" }"] {
                check_finds(
                    &format!("{LINTS}[{table}]\nb = {dependency}\n"),
                    &[
                        "a/Cargo.toml: state the version of b in the root's [workspace.dependencies], \
                       and write `b.workspace = true` here",
                    ],
                );
            }
        }
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_named() {
        let error = check("a/Cargo.toml", "[package").unwrap_err();
        assert_eq!(error.to_string(), "cannot read a/Cargo.toml");
    }
}
