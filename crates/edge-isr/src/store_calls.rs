//! Every call of a store, for what stands before one and hands them on.

/// Gives every call of each seam to a macro, with the kind of call that it is in the metrics: one of
/// [`STORE_CALLS`](isr_metrics::declarations::STORE_CALLS).
macro_rules! store_calls {
    ($hand_on:ident) => {
        $hand_on! { TagGraph:
            "follow" position() -> isr_core::Position;
            "look" time() -> isr_core::Timestamp;
            "look" secret() -> isr_core::Secret;
            "bind" bind(binds: &[isr_core::Bind]) -> Vec<isr_core::BindOutcome>;
            "bind" unbind(urls: &[isr_core::PageUrl]) -> u64;
            "resolve" urls_for(target: &isr_core::Target, after: Option<&isr_core::Cursor>, limit: usize) -> isr_core::UrlChunk;
            "look" tags_for(url: &isr_core::PageUrl) -> Option<isr_core::PageTags>;
            "invalidate" invalidate(receipt: isr_core::Receipt) -> isr_core::Receipt;
            "look" beginning() -> Option<isr_core::Beginning>;
            "save" dealt_with(beginning: isr_core::Epoch) -> ();
            "follow" news_since(after: &isr_core::Position, limit: usize) -> isr_core::News;
            "look" standing(page: &isr_core::PageUrl, tags: &[isr_core::Tag]) -> isr_core::Standing;
            "look" history(page: &isr_core::PageUrl, before: Option<u64>, limit: usize) -> Vec<isr_core::Heard>;
            "report" report(report: &isr_core::SenderReport) -> ();
            "look" senders() -> Vec<isr_core::SenderState>;
            "report" dismiss(sender: &isr_core::SenderId) -> ();
            "look" statistics(largest: usize) -> isr_core::GraphStatistics;
            "collect" collect_garbage(limit: usize) -> isr_core::Collected;
        }
        $hand_on! { JobStore:
            "claim" claim_revalidations(worker: &isr_core::WorkerId, limit: usize, lease: std::time::Duration) -> Vec<isr_core::Claimed<isr_core::Receipt>>;
            "save" cancel(id: &isr_core::RevalidationId) -> Option<isr_core::Receipt>;
            "save" release(id: &isr_core::RevalidationId) -> Option<isr_core::Receipt>;
            "save" save(claim: &isr_core::Claim, receipt: &isr_core::Receipt, lease: std::time::Duration) -> ();
            "save" leave(claim: &isr_core::Claim, receipt: &isr_core::Receipt, how: &isr_core::Leave) -> ();
            "save" queue_pages(pages: &[isr_core::PageWork], delay: std::time::Duration) -> ();
            "claim" claim_pages(worker: &isr_core::WorkerId, limit: usize, lease: std::time::Duration) -> Vec<isr_core::Claimed<isr_core::PageWork>>;
            "claim" renew_pages(claims: &[isr_core::Claim], lease: std::time::Duration) -> ();
            "save" leave_pages(pages: &[(isr_core::Claim, isr_core::LeavePage)]) -> ();
            "look" pages_outstanding(position: &isr_core::Position) -> u64;
            "save" hand_back(worker: &isr_core::WorkerId) -> ();
            "look" receipt(id: &isr_core::RevalidationId) -> Option<isr_core::Receipt>;
            "look" receipts(wanted: &isr_core::ReceiptFilter, after: Option<&isr_core::Cursor>, limit: usize) -> isr_core::ReceiptChunk;
            "look" dead_letters(after: Option<&isr_core::Cursor>, limit: usize) -> isr_core::DeadLetterChunk;
            "look" page_job(page: &isr_core::PageUrl) -> Option<isr_core::PageJob>;
            "save" replay(jobs: &[isr_core::JobKey]) -> u64;
            "look" depth() -> isr_core::QueueDepth;
        }
        $hand_on! { RateBudget:
            "budget" take(limit: &isr_core::RateLimit, tokens: u32, patience: std::time::Duration) -> isr_core::Taken;
            "budget" pause(limit: &isr_core::RateLimit, pause: std::time::Duration) -> ();
        }
    };
}

pub(crate) use store_calls;
