//! What every part of edge-isr agrees on: tags, page URLs, policies, header grammars, receipts, and the traits of every seam.

mod batch;
mod bounded_body;
mod budget;
pub mod cache_control;
mod capabilities;
mod chain;
mod clock;
mod connector;
mod dialect;
mod entity_tag;
mod excerpt;
mod fronting;
mod generation;
mod http_answer;
mod invalid_options;
mod job;
mod lifetimes;
mod machine;
mod mode_choice;
pub mod options;
mod page_url;
mod policy;
mod purge_outcome;
mod query_filter;
mod receipt;
mod receipt_filter;
mod recorder;
mod revalidate;
mod secret;
mod sender;
mod shareable;
mod store;
mod tag;
mod tag_header;
mod tag_set;
mod target;
mod tier;
mod timestamp;
mod url_canonical;
mod url_rules;
mod variant;
pub mod vary;
mod warm;
mod warmup;

pub use batch::{Filling, calls, next_call};
pub use bounded_body::{BodyTooLong, BoundedBody};
pub use budget::{Bucket, RateBudget, Taken};
pub use cache_control::{CacheControl, MaxStale};
pub use capabilities::{Ability, Capabilities, Cost, RateLimit, RateUnit, TagSupport};
pub use chain::chain;
pub use clock::Clock;
pub use connector::{
    CdnConnector, Completion, ConnectorError, Finding, PurgeBatch, PurgeReceipt, Reference,
};
pub use dialect::Dialect;
pub use entity_tag::{EntityTag, IfNoneMatch, InvalidEntityTag};
pub use excerpt::{excerpt_within, html_title};
pub use fronting::{Front, Fronting, Labels, unlisted};
pub use generation::{Epoch, Generation, InvalidGeneration, Partition, Position};
pub use http_answer::retry_after;
pub use invalid_options::InvalidOption;
pub use job::{
    Claim, Claimed, DeadLetter, DeadLetterChunk, JobKey, JobStore, Leave, LeavePage, PageJob,
    PageJobState, PageReason, PageWork, QueueDepth, ReceiptChunk, WorkerId,
};
pub use lifetimes::Lifetimes;
pub use machine::Machine;
pub use mode_choice::ModeChoice;
pub use page_url::{InvalidUrl, PageUrl, UrlFault};
pub use policy::{InvalidPolicy, Policy, PolicyBuilder};
pub use purge_outcome::PurgeOutcome;
pub use query_filter::{InvalidParameterName, ParameterNames, QueryFilter};
pub use receipt::{
    Held, InvalidRevalidationId, LagProgress, NotWarmed, Phase, Progress, Receipt,
    RevalidateOptions, RevalidationId, Source, TierReceipt, TierState, WarmReceipt,
};
pub use receipt_filter::ReceiptFilter;
pub use recorder::{CacheOutcome, Event, Milestone, NoRecorder, Recorder};
pub use revalidate::Revalidator;
pub use secret::Secret;
pub use sender::{Flight, Footprint, Ledger, Marks, Memo, Sender, SenderOptions, Verdict};
pub use shareable::{
    CookieNames, InvalidCookieName, NotShareable, ShareRules, shareable, shareable_request,
    shareable_response,
};
pub use store::{
    Beginning, Bind, BindOutcome, BoundTag, BoxError, Collected, Cursor, GraphStatistics, Heard,
    News, PageTags, SenderId, SenderReport, SenderRole, SenderState, Standing, Store, StoreError,
    TagGraph, UrlChunk,
};
pub use tag::{InvalidTag, Tag, TagFault, build_tag, tag};
pub use tag_header::{
    Forbidden, TagHeader, TagHeaderLimits, TagHeaderReport, TagSeparator, TagsDoNotFit,
};
pub use tag_set::{TagSet, TooManyTags};
pub use target::{InvalidTargets, Mode, Target, Targets, guard_keys, pseudo_tag_keys, targets_at};
pub use tier::{EscalateTo, Escalation, HostPattern, HostPatterns, InvalidHostPattern, Tier};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use url_rules::{NormalisedUrl, SiteOrigin, UrlRules};
pub use variant::{InvalidVariantKey, VariantKey};
pub use vary::VaryRule;
pub use warm::{WarmFailure, WarmOutcome, WarmRequest, Warmer};
pub use warmup::{
    GENERATION_HEADER, InvalidWarmup, WARMUP_HEADER, Warmup, WarmupKey, WeakWarmupKey,
};
