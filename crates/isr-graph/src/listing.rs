//! How receipts are listed, whatever keeps them.

use isr_core::{Receipt, ReceiptFilter};

/// Receipts looked at in one call.
const RECEIPTS_LOOKED_AT: usize = 256;

/// How many receipts to read for one chunk: where all are wanted, no more than that.
pub(crate) fn looked_at(wanted: &ReceiptFilter, limit: usize) -> usize {
    if wanted.is_everything() {
        limit.min(RECEIPTS_LOOKED_AT)
    } else {
        RECEIPTS_LOOKED_AT
    }
}

/// Of some receipts, newest first and each with its place, those that are wanted, and the place after which
/// to go on. `rest` is the last place looked at, if there is more behind it.
pub(crate) fn wanted_of<P>(
    looked_at: impl IntoIterator<Item = (P, Receipt)>,
    wanted: &ReceiptFilter,
    limit: usize,
    rest: Option<P>,
) -> (Vec<Receipt>, Option<P>) {
    let (mut found, mut last) = (Vec::new(), None);
    let mut left = looked_at.into_iter();
    while found.len() < limit.max(1) {
        let Some((place, receipt)) = left.next() else {
            return (found, rest);
        };
        if wanted.ends_before(&receipt) {
            return (found, None);
        }
        last = Some(place);
        if wanted.admits(&receipt) {
            found.push(receipt);
        }
    }
    let is_more = rest.is_some() || left.next().is_some();
    (found, last.filter(|_| is_more))
}
