//! Table of all metrics of the agent, with unit, description and attributes.
//!
//! Instruments are created from this table only.
//!
//! Names, units and kinds of instruments follow OpenTelemetry's semantic conventions ("System
//! metrics", "Process metrics", "Hardware metrics") in the version of the crate
//! opentelemetry-semantic-conventions. Units are UCUM.
//!
//! Counters start at 0 when the agent starts, because that is the start time of the OTLP sum.
//! Counts from before that time, such as the network traffic since boot, are not included.

use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_semantic_conventions::{SCHEMA_URL, attribute, metric};

use super::Attribute;

/// Defines the metrics of a file together with the list of them, so that a new metric is written in
/// one place.
macro_rules! metric_table {
    ($(#[$doc:meta])* $list:ident: $($(#[$metric_doc:meta])* pub const $name:ident = $metric:expr;)*) => {
        $($(#[$metric_doc])* pub const $name: Metric = $metric;)*
        $(#[$doc])*
        pub(super) const $list: &[Metric] = &[$($name),*];
    };
}

mod internal;
mod requests;
mod usage;

pub use internal::*;
pub use requests::*;
pub use usage::*;

/// Instrumentation scope of host metrics.
pub const HOST_SCOPE: &str = "insights-agent.host";
/// Instrumentation scope of metrics of the io.Connect processes.
pub const PROCESSES_SCOPE: &str = "insights-agent.processes";

/// How the values of a metric combine over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instrument {
    /// A current value. Values cannot be added up.
    Gauge,
    /// A sum that only increases.
    Counter,
    /// A current amount. Amounts can be added up over machines and attributes.
    UpDownCounter,
    /// Number of values in each bucket, with these bucket bounds.
    Histogram(&'static [f64]),
}

impl Instrument {
    /// Returns the name that the OpenTelemetry specification uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::UpDownCounter => "up-down counter",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric as exported and documented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Metric name.
    pub name: &'static str,
    /// Unit, in UCUM.
    pub unit: &'static str,
    /// Kind of instrument.
    pub instrument: Instrument,
    /// Description, exported with the metric.
    pub description: &'static str,
    /// Attributes of the data points.
    pub attributes: &'static [Attribute],
    /// Instrumentation scope.
    pub scope: &'static str,
}

impl Metric {
    /// Creates the instrument. `observe` is called at every export and reports the data points.
    pub fn observe_f64(&self, meter: &Meter, observe: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static) {
        macro_rules! build {
            ($builder:ident) => {{
                let builder = meter.$builder(self.name).with_unit(self.unit).with_description(self.description);
                builder.with_callback(observe).build();
            }};
        }
        match self.instrument {
            Instrument::Gauge => build!(f64_observable_gauge),
            Instrument::Counter => build!(f64_observable_counter),
            Instrument::UpDownCounter => build!(f64_observable_up_down_counter),
            Instrument::Histogram(_) => {
                tracing::error!(self.name, "failed to create the instrument: a histogram cannot be observed");
            }
        }
    }

    /// Creates the instrument of a histogram.
    #[must_use]
    pub fn histogram(&self, meter: &Meter) -> Histogram<f64> {
        let bounds = if let Instrument::Histogram(bounds) = self.instrument { bounds } else { &[] };
        let builder = meter.f64_histogram(self.name).with_unit(self.unit).with_description(self.description);
        builder.with_boundaries(bounds.to_vec()).build()
    }

    /// Creates the instrument like [`Self::observe_f64`], for integers.
    pub fn observe_u64(&self, meter: &Meter, observe: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static) {
        macro_rules! build {
            ($builder:ident, $observe:expr) => {{
                let builder = meter.$builder(self.name).with_unit(self.unit).with_description(self.description);
                builder.with_callback($observe).build();
            }};
        }
        match self.instrument {
            Instrument::Gauge => build!(u64_observable_gauge, observe),
            Instrument::Counter => build!(u64_observable_counter, observe),
            Instrument::UpDownCounter => {
                build!(i64_observable_up_down_counter, move |observer| observe(&Unsigned(observer)));
            }
            Instrument::Histogram(_) => {
                tracing::error!(self.name, "failed to create the instrument: a histogram cannot be observed");
            }
        }
    }
}

/// Adapter for unsigned values: OpenTelemetry has no unsigned up-down counter.
struct Unsigned<'a>(&'a dyn AsyncInstrument<i64>);

impl AsyncInstrument<u64> for Unsigned<'_> {
    fn observe(&self, measurement: u64, attributes: &[KeyValue]) {
        self.0.observe(i64::try_from(measurement).unwrap_or(i64::MAX), attributes);
    }
}

/// Returns the meter of an instrumentation scope, with the version of this program.
#[must_use]
pub fn meter(provider: &impl MeterProvider, scope: &'static str) -> Meter {
    let scope = InstrumentationScope::builder(scope)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build();
    provider.meter_with_scope(scope)
}

/// Attribute: state of physical memory.
pub const MEMORY_STATE: Attribute = Attribute {
    name: attribute::SYSTEM_MEMORY_STATE,
    description: "`used` or `free`. Free memory is what programs could allocate without paging, \
                  including caches. Both add up to the limit.",
};
/// Attribute: state of paging space.
pub const PAGING_STATE: Attribute = Attribute {
    name: attribute::SYSTEM_PAGING_STATE,
    description: "`used` or `free`. Both add up to the size of the paging space.",
};
/// Attribute: state of the space on a volume.
pub const FILESYSTEM_STATE: Attribute = Attribute {
    name: attribute::SYSTEM_FILESYSTEM_STATE,
    description: "`used` or `free`. Free is the space that this user can write; space reserved by \
                  the system counts as used.",
};
/// Attribute: mount point of a volume.
pub const FILESYSTEM_MOUNTPOINT: Attribute = Attribute {
    name: attribute::SYSTEM_FILESYSTEM_MOUNTPOINT,
    description: "Mount point of the system volume: `%SystemDrive%`, for example `C:`, or `/`.",
};
/// Attribute: name of a network interface.
pub const NETWORK_INTERFACE: Attribute = Attribute {
    name: attribute::NETWORK_INTERFACE_NAME,
    description: "Name of the network interface, for example `Ethernet` or `eth0`.",
};
/// Attribute: direction of network traffic.
pub const NETWORK_DIRECTION: Attribute =
    Attribute { name: attribute::NETWORK_IO_DIRECTION, description: "`transmit` or `receive`." };
/// Attribute: id of a battery.
pub const HARDWARE_ID: Attribute = Attribute {
    name: attribute::HW_ID,
    description: "Id of the battery: `battery0` and so on, in the order in which the system lists \
                  them.",
};
/// Attribute: vendor of a battery.
pub const HARDWARE_VENDOR: Attribute =
    Attribute { name: attribute::HW_VENDOR, description: "Vendor of the battery, if it reports one." };
/// Attribute: model of a battery.
pub const HARDWARE_MODEL: Attribute =
    Attribute { name: attribute::HW_MODEL, description: "Model of the battery, if it reports one." };
/// Attribute: threshold of the metrics `*.time_above_threshold`.
pub const THRESHOLD: Attribute =
    Attribute { name: "ioconnect.threshold", description: "Threshold from the settings, for example 0.9. A number." };
/// Attribute: role of an io.Connect process.
pub const PROCESS_ROLE: Attribute = Attribute {
    name: "ioconnect.process.role",
    description: "`main` (the platform itself), `renderer` (windows and apps), `gpu`, `utility` \
                  (network, audio and so on), `native` (native apps and the processes that they \
                  start) or `other` (launcher, crash handlers, other helpers). `main` is always \
                  reported, the other roles from the time they are first seen.",
};

metric_table! {
    /// Every metric of this file.
    MACHINE_AND_PROCESSES:

    /// CPU utilization of the machine.
    pub const SYSTEM_CPU_UTILIZATION = Metric {
        name: metric::SYSTEM_CPU_UTILIZATION,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "Share of CPU time, over all logical CPUs, that was not idle since the last \
                  export.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Number of logical CPUs.
    pub const SYSTEM_CPU_LOGICAL_COUNT = Metric {
        name: metric::SYSTEM_CPU_LOGICAL_COUNT,
        unit: "{cpu}",
        instrument: Instrument::UpDownCounter,
        description: "Number of logical CPUs when the agent started.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Time with the CPU at or above a threshold.
    pub const CPU_TIME_ABOVE_THRESHOLD = Metric {
        name: "ioconnect.host.cpu.time_above_threshold",
        unit: "s",
        instrument: Instrument::Counter,
        description: "Time during which CPU utilization was at or above the threshold, in steps of \
                  `host.sample_interval`. Sleep and other gaps do not count.",
        attributes: &[THRESHOLD],
        scope: HOST_SCOPE,
    };

    /// Physical memory by state.
    pub const SYSTEM_MEMORY_USAGE = Metric {
        name: metric::SYSTEM_MEMORY_USAGE,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Physical memory by state.",
        attributes: &[MEMORY_STATE],
        scope: HOST_SCOPE,
    };

    /// Size of physical memory.
    pub const SYSTEM_MEMORY_LIMIT = Metric {
        name: metric::SYSTEM_MEMORY_LIMIT,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Physical memory that the operating system can use.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Share of physical memory in use.
    pub const SYSTEM_MEMORY_UTILIZATION = Metric {
        name: metric::SYSTEM_MEMORY_UTILIZATION,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "Share of physical memory in use.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Time with memory use at or above a threshold.
    pub const MEMORY_TIME_ABOVE_THRESHOLD = Metric {
        name: "ioconnect.host.memory.time_above_threshold",
        unit: "s",
        instrument: Instrument::Counter,
        description: "Time during which the share of physical memory in use was at or above the \
                  threshold, in steps of `host.sample_interval`. Sleep and other gaps do not \
                  count.",
        attributes: &[THRESHOLD],
        scope: HOST_SCOPE,
    };

    /// Paging space by state.
    pub const SYSTEM_PAGING_USAGE = Metric {
        name: metric::SYSTEM_PAGING_USAGE,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Swap space (on Windows the page file) by state. On Windows, used is the memory \
                  committed beyond physical memory. Not reported if there is no such space.",
        attributes: &[PAGING_STATE],
        scope: HOST_SCOPE,
    };

    /// Share of paging space in use.
    pub const SYSTEM_PAGING_UTILIZATION = Metric {
        name: metric::SYSTEM_PAGING_UTILIZATION,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "Share of swap space (on Windows of the page file) in use.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Space on the system volume by state.
    pub const SYSTEM_FILESYSTEM_USAGE = Metric {
        name: metric::SYSTEM_FILESYSTEM_USAGE,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Space on the system volume by state.",
        attributes: &[FILESYSTEM_MOUNTPOINT, FILESYSTEM_STATE],
        scope: HOST_SCOPE,
    };

    /// Size of the system volume.
    pub const SYSTEM_FILESYSTEM_LIMIT = Metric {
        name: metric::SYSTEM_FILESYSTEM_LIMIT,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Size of the system volume.",
        attributes: &[FILESYSTEM_MOUNTPOINT],
        scope: HOST_SCOPE,
    };

    /// Share of the system volume in use.
    pub const SYSTEM_FILESYSTEM_UTILIZATION = Metric {
        name: metric::SYSTEM_FILESYSTEM_UTILIZATION,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "Share of the system volume in use.",
        attributes: &[FILESYSTEM_MOUNTPOINT],
        scope: HOST_SCOPE,
    };

    /// Network traffic.
    pub const SYSTEM_NETWORK_IO = Metric {
        name: metric::SYSTEM_NETWORK_IO,
        unit: "By",
        instrument: Instrument::Counter,
        description: "Bytes transferred over each network interface since the agent started, without \
                  loopback and interfaces that never carried traffic. Traffic of a tunnel also \
                  counts for the interface that carries it.",
        attributes: &[NETWORK_INTERFACE, NETWORK_DIRECTION],
        scope: HOST_SCOPE,
    };

    /// Time since the operating system started.
    pub const SYSTEM_UPTIME = Metric {
        name: metric::SYSTEM_UPTIME,
        unit: "s",
        instrument: Instrument::Gauge,
        description: "Time since the operating system started.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// Charge of a battery.
    pub const BATTERY_CHARGE = Metric {
        name: metric::HW_BATTERY_CHARGE,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "Charge of each battery as a share of its full capacity. Not reported without a \
                  battery.",
        attributes: &[HARDWARE_ID, HARDWARE_VENDOR, HARDWARE_MODEL],
        scope: HOST_SCOPE,
    };

    /// Whether a machine with a battery runs on external power.
    pub const POWER_EXTERNAL = Metric {
        name: "ioconnect.host.power.external",
        unit: "1",
        instrument: Instrument::Gauge,
        description: "1 on external power, 0 while a battery is discharging. Not reported without a \
                  battery, or if no battery reports its state.",
        attributes: &[],
        scope: HOST_SCOPE,
    };

    /// CPU time of the io.Connect processes.
    pub const PROCESS_CPU_TIME = Metric {
        name: metric::PROCESS_CPU_TIME,
        unit: "s",
        instrument: Instrument::Counter,
        description: "CPU time, in all modes, used by io.Connect processes since the agent started. \
                  The time that a process uses after its last sample is missing.",
        attributes: &[PROCESS_ROLE],
        scope: PROCESSES_SCOPE,
    };

    /// CPU utilization of the io.Connect processes.
    pub const PROCESS_CPU_UTILIZATION = Metric {
        name: metric::PROCESS_CPU_UTILIZATION,
        unit: "1",
        instrument: Instrument::Gauge,
        description: "CPU time of io.Connect processes since the last export, divided by the elapsed \
                  time and the number of logical CPUs: 1 is the whole machine.",
        attributes: &[PROCESS_ROLE],
        scope: PROCESSES_SCOPE,
    };

    /// Memory of the io.Connect processes.
    pub const PROCESS_MEMORY_USAGE = Metric {
        name: metric::PROCESS_MEMORY_USAGE,
        unit: "By",
        instrument: Instrument::UpDownCounter,
        description: "Sum of the physical memory of io.Connect processes (Windows: working sets; \
                  Linux: resident sets). Memory that processes share counts once per process.",
        attributes: &[PROCESS_ROLE],
        scope: PROCESSES_SCOPE,
    };

    /// Number of io.Connect processes.
    pub const PROCESS_COUNT = Metric {
        name: "ioconnect.process.count",
        unit: "{process}",
        instrument: Instrument::UpDownCounter,
        description: "Number of io.Connect processes. `main` is the number of running platforms, 0 if \
                  there is none.",
        attributes: &[PROCESS_ROLE],
        scope: PROCESSES_SCOPE,
    };
}

/// Returns every metric that the agent exports, in the order of docs/signals.md.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [MACHINE_AND_PROCESSES, usage::USAGE, requests::REQUESTS, internal::INTERNAL].into_iter().flatten()
}
