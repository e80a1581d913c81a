//! The scripts, each put together from the parts it uses.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

/// Not called by its SHA: it runs once, and before anything else is known of the server.
pub(super) const OPEN: &str = include_str!("lua/open.lua");

/// A script that is called by its SHA, or whole where the server does not know it.
pub(super) struct Lua {
    name: &'static str,
    pub(super) code: &'static str,
    pub(super) sha: String,
}

impl Lua {
    fn new(name: &'static str, code: &'static str) -> Self {
        Self {
            name,
            code,
            sha: Script::new(code).get_hash().to_owned(),
        }
    }

    /// Whether somebody relies on what the script has written once it is answered. What the others write
    /// may be undone: it is only done again then.
    pub(super) fn makes_promises(&self) -> bool {
        const PROMISES: [&str; 7] = [
            "BIND",
            "REVALIDATE",
            "SCHEDULE",
            "RELEASE",
            "COMPLETE",
            "QUEUE_PAGES",
            "SENDERS",
        ];
        PROMISES.contains(&self.name)
    }
}

macro_rules! scripts {
    ($($name:ident = $($part:literal)+;)*) => {
        $(
            pub(super) static $name: LazyLock<Lua> = LazyLock::new(|| {
                let name = stringify!($name);
                Lua::new(name, concat!($(include_str!(concat!("lua/", $part, ".lua")), "\n"),+))
            });
        )*
    };
}

scripts! {
    POSITION = "state" "position";
    BEGINNING = "state" "beginning";
    BIND = "state" "records" "pages" "tags" "judge_begin" "generations" "queue" "judge_end" "bind";
    UNBIND = "state" "records" "pages" "tags" "unbind";
    RESOLVE = "state" "records" "tags" "resolve";
    TAGS_FOR = "state" "records" "pages" "tags" "tags_for";
    STATISTICS = "state" "records" "tags" "statistics";
    COLLECT = "state" "records" "pages" "tags" "collect";
    REVALIDATE = "state" "queue" "receipt" "revalidate";
    SCHEDULE = "state" "receipt" "schedule";
    RELEASE = "state" "queue" "receipt" "release";
    COMPLETE = "state" "receipt" "complete";
    TIME = "state" "time";
    NEWS = "state" "news";
    HISTORY = "state" "history";
    STANDING = "state" "standing";
    PAGE_JOB = "state" "queue" "page_job";
    SENDERS = "state" "senders";
    CLAIM = "state" "queue" "receipt" "claim";
    SAVE = "state" "queue" "receipt" "save";
    RECEIPTS = "state" "queue" "place" "receipt" "receipts";
    QUEUE_PAGES = "state" "queue" "queue_pages";
    RENEW_PAGES = "state" "queue" "renew_pages";
    LEAVE_PAGES = "state" "queue" "leave_pages";
    HAND_BACK = "state" "queue" "hand_back";
    DEAD = "state" "queue" "place" "dead";
    REPLAY = "state" "queue" "replay";
    DEPTH = "state" "queue" "depth";
    BUDGET = "budget";
}
