//! What one run does.

use std::fmt::Write as _;
use std::str::FromStr;

use isr_core::RateUnit;
use serde::{Deserialize, Serialize};

/// One run against one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// The service's name.
    pub(super) service: String,
    pub(super) task: Task,
    /// Pages in the store, all under one tag, and each with a tag of its own.
    pub(super) pages: u64,
    /// How much faster than real time both clocks go: that of the pipeline with its store, and that by
    /// which the service counts its tokens. So an hour's limit can be watched for an hour in a minute;
    /// whatever the pipeline itself needs weighs as many times more.
    pub(super) speed: u32,
    /// Whether calls are as small as they are by default, where the service takes larger ones.
    pub(super) default_batches: bool,
    /// Whether it is there to compare memory with the run before it, which has a tenth of the pages.
    pub(super) is_for_memory: bool,
}

/// What is asked of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// One revalidation of the tag of all pages, at a service that is said to know no tags.
    PagesByUrl,
    /// One revalidation of the tag of all pages.
    PagesByTag,
    /// So many revalidations of a tag each, all at once, one tag a call, without waiting for others: as
    /// many calls as can be made by tag, to see how well their rate is used.
    TagsOneByOne(u64),
    /// So many revalidations of a tag each within one second, with the default options.
    Storm(u64),
}

/// What the service's documentation allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) unit: RateUnit,
    /// What may be used at once besides what comes back: the whole bucket where one is documented, and
    /// otherwise one call.
    pub(super) at_once: u32,
    /// What comes back.
    pub(super) per_second: f64,
    /// What the model's bucket holds, beyond which it throttles.
    pub(super) bucket: u32,
    /// What the pipeline may use at once because the average is one over a long time: it is left out
    /// when looking how well the rate is used.
    pub(super) left_out: u32,
}

impl Case {
    pub(super) fn new(service: &str, task: Task, pages: u64) -> Self {
        Self {
            service: service.to_owned(),
            task,
            pages,
            speed: 1,
            default_batches: false,
            is_for_memory: false,
        }
    }

    /// The same with both clocks so many times faster than real time.
    pub(super) fn at_speed(self, speed: u32) -> Self {
        Self { speed, ..self }
    }

    /// The same in calls as they are by default.
    pub(super) fn in_default_batches(self) -> Self {
        Self {
            default_batches: true,
            ..self
        }
    }

    /// The same with ten times the pages, to compare memory.
    pub(super) fn for_memory(&self) -> Self {
        Self {
            pages: 10 * self.pages,
            is_for_memory: true,
            ..self.clone()
        }
    }

    pub(super) fn is_smaller_than(&self, larger: &Self) -> bool {
        self.service == larger.service && self.task == larger.task && self.pages < larger.pages
    }

    /// Revalidations that it makes.
    pub(super) const fn revalidations(&self) -> u64 {
        match self.task {
            Task::PagesByUrl | Task::PagesByTag => 1,
            Task::TagsOneByOne(count) | Task::Storm(count) => count,
        }
    }

    /// What it does, in words.
    pub(super) fn describe(&self) -> String {
        let mut text = match self.task {
            Task::PagesByUrl => format!("{} pages by URL", thousands(self.pages)),
            Task::PagesByTag => format!("{} pages by their tag", thousands(self.pages)),
            Task::TagsOneByOne(count) => format!("{} tags, one a call", thousands(count)),
            Task::Storm(count) => format!("storm of {} revalidations", thousands(count)),
        };
        if self.default_batches {
            text.push_str(", default batches");
        }
        if self.speed > 1 {
            let speed = self.speed;
            write!(text, ", {speed} × real time").expect("a string takes any text");
        }
        text
    }
}

impl FromStr for Case {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(text)
    }
}

pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
