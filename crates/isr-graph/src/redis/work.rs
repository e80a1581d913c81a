//! Page work as it is stored.

use isr_core::{Epoch, Generation, PageReason, PageUrl, PageWork, StoreError};

use super::error::corrupt;

/// Writes `epoch number oldest-number reason`. A work whose oldest generation is of another epoch than
/// its newest is waited for by nobody of that other epoch any more.
pub(super) fn write_work(work: &PageWork) -> String {
    let Generation { epoch, number } = work.generation;
    let oldest = if work.oldest.epoch == epoch {
        work.oldest.number
    } else {
        number
    };
    let reason = match work.reason {
        PageReason::Superseded => 's',
        PageReason::InFlight => 'f',
    };
    format!("{epoch} {number} {oldest} {reason}")
}

pub(super) fn read_work(url: PageUrl, text: &str) -> Result<PageWork, StoreError> {
    parse(url, text).ok_or_else(|| corrupt(format!("`{text}` is no page work")))
}

fn parse(url: PageUrl, text: &str) -> Option<PageWork> {
    let mut parts = text.split(' ');
    let epoch = Epoch::new(u64::from_str_radix(parts.next()?, 16).ok()?);
    let generation = Generation {
        epoch,
        number: parts.next()?.parse().ok()?,
    };
    let oldest = Generation {
        epoch,
        number: parts.next()?.parse().ok()?,
    };
    let reason = match parts.next()? {
        "s" => PageReason::Superseded,
        "f" => PageReason::InFlight,
        _ => return None,
    };
    Some(PageWork {
        url,
        generation,
        oldest,
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_reads_what_it_wrote() {
        let url = PageUrl::parse("https://a.example/").unwrap();
        let generation = Generation {
            epoch: Epoch::new(0xfeed),
            number: 9,
        };
        for reason in [PageReason::Superseded, PageReason::InFlight] {
            let oldest = Generation {
                number: 4,
                ..generation
            };
            let work = PageWork {
                oldest,
                ..PageWork::new(url.clone(), generation, reason)
            };
            assert_eq!(read_work(url.clone(), &write_work(&work)).unwrap(), work);
        }
    }

    #[test]
    fn what_is_no_work_is_refused() {
        let url = PageUrl::parse("https://a.example/").unwrap();
        for text in ["", "1 2 3", "1 2 3 x", "x 2 3 s"] {
            assert!(read_work(url.clone(), text).is_err(), "{text:?}");
        }
    }
}
