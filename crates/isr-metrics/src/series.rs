//! Series that exist before anything is counted, found without a lock.

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, Opts, Registry,
};

use crate::declaration::{Declaration, Kind, Label, Values};
use crate::declarations::{BUCKETS, OTHER};

/// The series of one metric, one for each value of its label.
#[derive(Debug)]
pub(crate) struct Series<M> {
    by_value: Vec<(Box<str>, M)>,
}

impl<M> Series<M> {
    fn new(values: impl IntoIterator<Item = impl Into<Box<str>>>, of: impl Fn(&str) -> M) -> Self {
        let by_value = values.into_iter().map(|value| {
            let value = value.into();
            let series = of(&value);
            (value, series)
        });
        Self {
            by_value: by_value.collect(),
        }
    }

    /// The series of a value, or that of `other`, which must be last. Sets are small enough that
    /// looking through them is quicker than hashing.
    pub(crate) fn of(&self, value: &str) -> &M {
        let found = self.by_value.iter().find(|(known, _)| **known == *value);
        let (_, series) = found
            .or(self.by_value.last())
            .expect("no label has an empty set");
        series
    }
}

/// Registers metrics as they are declared.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    registry: Registry,
}

impl Declared {
    pub(crate) fn into_registry(self) -> Registry {
        self.registry
    }

    pub(crate) fn counter(&self, declaration: &Declaration) -> IntCounter {
        assert_eq!(declaration.kind, Kind::Counter, "{}", declaration.name);
        self.register(IntCounter::with_opts(opts(declaration)))
    }

    pub(crate) fn counters(&self, declaration: &Declaration) -> Series<IntCounter> {
        let [label] = declaration.labels else {
            unreachable!("declared with one label")
        };
        let vec = self.counter_vec(declaration);
        Series::new(closed(label).iter().copied(), |value| {
            vec.with_label_values(&[value])
        })
    }

    /// Counters by connector and by a second label with a closed set.
    pub(crate) fn counters_by_connector(
        &self,
        declaration: &Declaration,
        connectors: &[String],
    ) -> Series<Series<IntCounter>> {
        let [_, label] = declaration.labels else {
            unreachable!("declared with two labels")
        };
        let vec = self.counter_vec(declaration);
        Series::new(known(connectors), |connector| {
            Series::new(closed(label).iter().copied(), |value| {
                vec.with_label_values(&[connector, value])
            })
        })
    }

    pub(crate) fn int_gauge(&self, declaration: &Declaration) -> IntGauge {
        assert_eq!(declaration.kind, Kind::Gauge, "{}", declaration.name);
        self.register(IntGauge::with_opts(opts(declaration)))
    }

    pub(crate) fn gauge(&self, declaration: &Declaration) -> Gauge {
        assert_eq!(declaration.kind, Kind::Gauge, "{}", declaration.name);
        self.register(Gauge::with_opts(opts(declaration)))
    }

    /// Gauges by connector, which show `initial` until something else is known.
    pub(crate) fn gauges_by_connector(
        &self,
        declaration: &Declaration,
        connectors: &[String],
        initial: f64,
    ) -> Series<Gauge> {
        assert_eq!(declaration.kind, Kind::Gauge, "{}", declaration.name);
        let vec = self.register(GaugeVec::new(opts(declaration), &names(declaration)));
        Series::new(known(connectors), |connector| {
            let gauge = vec.with_label_values(&[connector]);
            gauge.set(initial);
            gauge
        })
    }

    /// A counter of what comes in parts.
    pub(crate) fn float_counter(&self, declaration: &Declaration) -> Counter {
        assert_eq!(declaration.kind, Kind::Counter, "{}", declaration.name);
        self.register(Counter::with_opts(opts(declaration)))
    }

    /// A gauge that stays 1 and whose label's value is what it tells.
    pub(crate) fn info(&self, declaration: &Declaration, value: &str) {
        let [label] = declaration.labels else {
            unreachable!("declared with one label")
        };
        let gauge = IntGauge::with_opts(opts(declaration).const_label(label.name, value));
        self.register(gauge).set(1);
    }

    pub(crate) fn histogram(&self, declaration: &Declaration) -> Histogram {
        assert_eq!(declaration.kind, Kind::Histogram, "{}", declaration.name);
        self.register(Histogram::with_opts(histogram_opts(declaration)))
    }

    pub(crate) fn histograms(&self, declaration: &Declaration) -> Series<Histogram> {
        assert_eq!(declaration.kind, Kind::Histogram, "{}", declaration.name);
        let [label] = declaration.labels else {
            unreachable!("declared with one label")
        };
        let vec = HistogramVec::new(histogram_opts(declaration), &names(declaration));
        let vec = self.register(vec);
        Series::new(closed(label).iter().copied(), |value| {
            vec.with_label_values(&[value])
        })
    }

    fn counter_vec(&self, declaration: &Declaration) -> IntCounterVec {
        assert_eq!(declaration.kind, Kind::Counter, "{}", declaration.name);
        self.register(IntCounterVec::new(opts(declaration), &names(declaration)))
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("the table holds only valid names, as its tests make sure");
        let registered = self.registry.register(Box::new(metric.clone()));
        registered.expect("no name is declared twice, as the table's tests make sure");
        metric
    }
}

/// The label values of connectors: their names, and what stands for any other, last.
fn known(connectors: &[String]) -> impl Iterator<Item = &str> {
    let names = connectors.iter().map(String::as_str);
    names.filter(|name| *name != OTHER).chain([OTHER])
}

fn opts(declaration: &Declaration) -> Opts {
    Opts::new(declaration.name, declaration.help)
}

fn histogram_opts(declaration: &Declaration) -> HistogramOpts {
    HistogramOpts::new(declaration.name, declaration.help).buckets(BUCKETS.to_vec())
}

fn names(declaration: &Declaration) -> Vec<&'static str> {
    declaration.labels.iter().map(|label| label.name).collect()
}

fn closed(label: &Label) -> &'static [&'static str] {
    match label.values {
        Values::Closed(values) => values,
        Values::Connectors | Values::Version => unreachable!("declared with a closed set"),
    }
}
