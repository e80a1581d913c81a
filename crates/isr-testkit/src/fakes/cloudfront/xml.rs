//! CloudFront's XML: read by what it says, written as the service writes it.

use roxmltree::{Document, Node};

use super::distribution::{Distribution, Invalidation, Refusal};

/// The namespace of every element.
const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// When everything was made.
const CREATED: &str = "2026-11-22T06:00:00.123Z";

/// What is to be invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) reference: String,
    /// How many items there are, as whoever wrote them counted.
    pub(super) quantity: usize,
    pub(super) items: Vec<String>,
}

impl Batch {
    /// Reads an `InvalidationBatch`, whose parts come in any order.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(Refusal::NO_BODY);
        }
        Self::read_text(body).ok_or(Refusal::MALFORMED)
    }

    fn read_text(body: &[u8]) -> Option<Self> {
        let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
        let root = document.root_element();
        if !is(root, "InvalidationBatch") {
            return None;
        }
        let paths = child(root, "Paths")?;
        let items = child(paths, "Items")
            .into_iter()
            .flat_map(|items| items.children());
        Some(Self {
            reference: text(child(root, "CallerReference")?),
            quantity: text(child(paths, "Quantity")?).parse().ok()?,
            items: items.filter(|node| is(*node, "Path")).map(text).collect(),
        })
    }
}

fn is(node: Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((NAMESPACE, name))
}

fn child<'d, 'i>(parent: Node<'d, 'i>, name: &str) -> Option<Node<'d, 'i>> {
    parent.children().find(|node| is(*node, name))
}

fn text(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().to_owned()
}

/// An error, as AWS's restXml has it.
pub(super) fn error(code: &str, message: &str) -> String {
    format!(
        r#"<?xml version="1.0"?>
<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>410c2a4b-e435-49c9-8382-3770d80d7d4c</RequestId></ErrorResponse>"#
    )
}

/// An `Invalidation`.
pub(super) fn invalidation(invalidation: &Invalidation) -> String {
    let Invalidation { id, batch, .. } = invalidation;
    let status = if invalidation.is_complete() {
        "Completed"
    } else {
        "InProgress"
    };
    let paths: Vec<String> = batch.items.iter().map(|item| escaped(item)).collect();
    let paths = paths.join("</Path><Path>");
    format!(
        r#"<?xml version="1.0"?>
<Invalidation xmlns="{NAMESPACE}"><Id>{id}</Id><Status>{status}</Status><CreateTime>{CREATED}</CreateTime><InvalidationBatch><Paths><Quantity>{}</Quantity><Items><Path>{paths}</Path></Items></Paths><CallerReference>{}</CallerReference></InvalidationBatch></Invalidation>"#,
        batch.items.len(),
        escaped(&batch.reference)
    )
}

/// A `DistributionConfig`, without most of what it would have.
pub(super) fn config(distribution: &Distribution) -> String {
    let tags = distribution
        .tag_header
        .as_ref()
        .map_or_else(String::new, |name| {
            format!(
                "<CacheTagConfig><HeaderName>{}</HeaderName></CacheTagConfig>",
                escaped(name)
            )
        });
    format!(
        r#"<?xml version="1.0"?>
<DistributionConfig xmlns="{NAMESPACE}"><CallerReference>made-by-hand</CallerReference><Aliases><Quantity>0</Quantity></Aliases><Comment></Comment><Enabled>{}</Enabled>{tags}</DistributionConfig>"#,
        distribution.enabled
    )
}

/// A `DistributionTenant`.
pub(super) fn tenant(distribution: &Distribution) -> String {
    let Distribution {
        id,
        tenant,
        enabled,
        ..
    } = distribution;
    let tenant = tenant.as_deref().unwrap_or_default();
    format!(
        r#"<?xml version="1.0"?>
<DistributionTenant xmlns="{NAMESPACE}"><Id>{tenant}</Id><DistributionId>{id}</DistributionId><Name>tenant</Name><CreatedTime>{CREATED}</CreatedTime><Enabled>{enabled}</Enabled><Status>Deployed</Status></DistributionTenant>"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_batch_come_in_any_order() {
        let reference = "<CallerReference>r</CallerReference>";
        let paths = "<Paths><Items><Path>/a?b&amp;c</Path><Path>#t</Path></Items><Quantity>2</Quantity></Paths>";
        let batch = |parts: &str| {
            let xml =
                format!(r#"<InvalidationBatch xmlns="{NAMESPACE}">{parts}</InvalidationBatch>"#);
            Batch::read(xml.as_bytes())
        };
        let expected = Batch {
            reference: "r".to_owned(),
            quantity: 2,
            items: vec!["/a?b&c".to_owned(), "#t".to_owned()],
        };
        assert_eq!(batch(&format!("{reference}{paths}")), Ok(expected.clone()));
        assert_eq!(batch(&format!("{paths}{reference}")), Ok(expected));
        assert_eq!(batch(paths), Err(Refusal::MALFORMED));
        assert_eq!(Batch::read(b""), Err(Refusal::NO_BODY));
        assert_eq!(
            Batch::read(b"<InvalidationBatch/>"),
            Err(Refusal::MALFORMED)
        );
    }
}
