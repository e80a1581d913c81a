//! What is said about a metric before it is counted.

/// One metric, as it is registered and as it is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// Its name, with the unit and kind as suffix where Prometheus wants them.
    pub name: &'static str,
    /// What it measures, in one sentence.
    pub help: &'static str,
    /// How its value moves.
    pub kind: Kind,
    /// What its value counts.
    pub unit: Unit,
    /// The labels that tell its series apart, in the order of registration.
    pub labels: &'static [Label],
}

/// How the value of a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is many values, counted in buckets of [`BUCKETS`](crate::declarations::BUCKETS).
    Histogram,
}

/// What the value of a metric counts, in Prometheus' base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things, as the metric's name says.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Parts of a whole, from 0 to 1.
    Ratio,
}

/// A label, and every value that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// Every value that a label may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// These.
    Closed(&'static [&'static str]),
    /// The names of the connectors in the configuration, and `other`.
    Connectors,
    /// The version of this build, and nothing else.
    Version,
}

impl Declaration {
    pub(crate) const fn counter(
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            help,
            kind: Kind::Counter,
            unit: Unit::None,
            labels,
        }
    }

    pub(crate) const fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    pub(crate) const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    pub(crate) const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind: Kind::Gauge,
            unit,
            labels: &[],
        }
    }

    /// All histograms of this crate are of durations.
    pub(crate) const fn seconds(
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            help,
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            labels,
        }
    }
}

impl Kind {
    /// The word for it, as in the `# TYPE` line of the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// The suffix by which a name tells its unit, without the underscore; empty when it has none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Ratio => "ratio",
        }
    }
}
