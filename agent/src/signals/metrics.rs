//! Every metric of the agent, with its unit, meaning and attributes: instruments are made from this table only.
//!
//! Names, units and kinds of instruments follow OpenTelemetry's semantic conventions ("System metrics", "Process
//! metrics", "Hardware metrics") in the version of the crate opentelemetry-semantic-conventions. Units are UCUM.
//!
//! Counters start at 0 when the agent starts, because OTLP's start time of a sum is then: what a machine counted before
//! is not in them.

use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_semantic_conventions::{SCHEMA_URL, attribute, metric};

use super::Attribute;

mod internal;
mod requests;
mod usage;

pub use internal::*;
pub use requests::*;
pub use usage::*;

/// Instrumentation scope of the machine's metrics.
pub const HOST_SCOPE: &str = "insights-agent.host";
/// Instrumentation scope of the io.Connect processes' metrics.
pub const PROCESSES_SCOPE: &str = "insights-agent.processes";

/// How the values of a metric combine over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Instrument {
    /// A value as it is now; values are not added up.
    Gauge,
    /// A sum that only grows.
    Counter,
    /// An amount as it is now; amounts may be added up over machines and attributes.
    UpDownCounter,
    /// How often values lay between these bounds.
    Histogram(&'static [f64]),
}

impl Instrument {
    /// As in the specification's text.
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

/// One metric, as it is made and documented.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit in UCUM.
    pub unit: &'static str,
    /// Kind of its instrument.
    pub instrument: Instrument,
    /// What it says; sent as its description.
    pub description: &'static str,
    /// The attributes of its points.
    pub attributes: &'static [Attribute],
    /// Instrumentation scope that it belongs to.
    pub scope: &'static str,
}

impl Metric {
    /// Makes the instrument; `observe` is called at every export and gives the points.
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
            Instrument::Histogram(_) => tracing::error!(self.name, "a histogram is recorded, not observed"),
        }
    }

    /// Makes the instrument of a histogram.
    #[must_use]
    pub fn histogram(&self, meter: &Meter) -> Histogram<f64> {
        let bounds = if let Instrument::Histogram(bounds) = self.instrument { bounds } else { &[] };
        let builder = meter.f64_histogram(self.name).with_unit(self.unit).with_description(self.description);
        builder.with_boundaries(bounds.to_vec()).build()
    }

    /// As [`Self::observe_f64`], for whole numbers.
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
            Instrument::Histogram(_) => tracing::error!(self.name, "a histogram is recorded, not observed"),
        }
    }
}

/// Up-down counters have no unsigned form.
struct Unsigned<'a>(&'a dyn AsyncInstrument<i64>);

impl AsyncInstrument<u64> for Unsigned<'_> {
    fn observe(&self, measurement: u64, attributes: &[KeyValue]) {
        self.0.observe(i64::try_from(measurement).unwrap_or(i64::MAX), attributes);
    }
}

/// The meter of a scope, with this program's version.
#[must_use]
pub fn meter(provider: &impl MeterProvider, scope: &'static str) -> Meter {
    let scope = InstrumentationScope::builder(scope)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build();
    provider.meter_with_scope(scope)
}

/// Attribute `state` of memory.
pub const MEMORY_STATE: Attribute = Attribute {
    name: attribute::SYSTEM_MEMORY_STATE,
    meaning: "`used`, `free`. Free is what programs could get without paging, caches included; both together are the limit.",
};
/// Attribute `state` of paging space.
pub const PAGING_STATE: Attribute =
    Attribute { name: attribute::SYSTEM_PAGING_STATE, meaning: "`used`, `free`. Both together are its size." };
/// Attribute `state` of a volume.
pub const FILESYSTEM_STATE: Attribute = Attribute {
    name: attribute::SYSTEM_FILESYSTEM_STATE,
    meaning: "`used`, `free`. Free is what this user could write; what the system keeps for itself counts as used.",
};
/// Attribute: where a volume is mounted.
pub const FILESYSTEM_MOUNTPOINT: Attribute = Attribute {
    name: attribute::SYSTEM_FILESYSTEM_MOUNTPOINT,
    meaning: "The system's volume: `%SystemDrive%`, as in `C:`, or `/`.",
};
/// Attribute: name of a network interface.
pub const NETWORK_INTERFACE: Attribute =
    Attribute { name: attribute::NETWORK_INTERFACE_NAME, meaning: "Name of the interface, as in `Ethernet`, `eth0`." };
/// Attribute: direction of traffic.
pub const NETWORK_DIRECTION: Attribute =
    Attribute { name: attribute::NETWORK_IO_DIRECTION, meaning: "`transmit`, `receive`." };
/// Attribute: which battery.
pub const HARDWARE_ID: Attribute =
    Attribute { name: attribute::HW_ID, meaning: "`battery0` and so on, in the order of the system." };
/// Attribute: who made it.
pub const HARDWARE_VENDOR: Attribute =
    Attribute { name: attribute::HW_VENDOR, meaning: "Who made the battery, if it says." };
/// Attribute: which model it is.
pub const HARDWARE_MODEL: Attribute =
    Attribute { name: attribute::HW_MODEL, meaning: "Model of the battery, if it says." };
/// Attribute: the threshold that time is counted above.
pub const THRESHOLD: Attribute =
    Attribute { name: "ioconnect.threshold", meaning: "The threshold from the settings, as in 0.9. A number." };
/// Attribute: what a process is to the platform.
pub const PROCESS_ROLE: Attribute = Attribute {
    name: "ioconnect.process.role",
    meaning: "`main` (the platform itself), `renderer` (windows and apps), `gpu`, `utility` (network, audio, ...), `native` \
              (native apps and whatever they started), `other` (the launcher, crash handlers, further helpers). `main` is \
              there from the beginning, the others from the time they were first seen.",
};

/// Share of CPU time that was busy.
pub const SYSTEM_CPU_UTILIZATION: Metric = Metric {
    name: metric::SYSTEM_CPU_UTILIZATION,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "Share of the time of all logical CPUs together that was not idle, since the last export.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Number of logical CPUs.
pub const SYSTEM_CPU_LOGICAL_COUNT: Metric = Metric {
    name: metric::SYSTEM_CPU_LOGICAL_COUNT,
    unit: "{cpu}",
    instrument: Instrument::UpDownCounter,
    description: "Logical CPUs when the agent started.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Time at the limit of the CPU.
pub const CPU_TIME_ABOVE_THRESHOLD: Metric = Metric {
    name: "ioconnect.host.cpu.time_above_threshold",
    unit: "s",
    instrument: Instrument::Counter,
    description: "Time during which the busy share of the CPU was at or above the threshold, counted in steps of \
                  `host.sample_interval`. Sleep and other gaps do not count.",
    attributes: &[THRESHOLD],
    scope: HOST_SCOPE,
};
/// Memory by state.
pub const SYSTEM_MEMORY_USAGE: Metric = Metric {
    name: metric::SYSTEM_MEMORY_USAGE,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Physical memory by state.",
    attributes: &[MEMORY_STATE],
    scope: HOST_SCOPE,
};
/// Size of memory.
pub const SYSTEM_MEMORY_LIMIT: Metric = Metric {
    name: metric::SYSTEM_MEMORY_LIMIT,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Physical memory that the operating system can use.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Share of memory in use.
pub const SYSTEM_MEMORY_UTILIZATION: Metric = Metric {
    name: metric::SYSTEM_MEMORY_UTILIZATION,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "Share of physical memory that is used.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Time at the limit of memory.
pub const MEMORY_TIME_ABOVE_THRESHOLD: Metric = Metric {
    name: "ioconnect.host.memory.time_above_threshold",
    unit: "s",
    instrument: Instrument::Counter,
    description: "Time during which the used share of physical memory was at or above the threshold, counted in steps of \
                  `host.sample_interval`. Sleep and other gaps do not count.",
    attributes: &[THRESHOLD],
    scope: HOST_SCOPE,
};
/// Paging space by state.
pub const SYSTEM_PAGING_USAGE: Metric = Metric {
    name: metric::SYSTEM_PAGING_USAGE,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Swap space, on Windows the page file, by state. On Windows used is what is committed beyond physical \
                  memory. Not there without such space.",
    attributes: &[PAGING_STATE],
    scope: HOST_SCOPE,
};
/// Share of paging space in use.
pub const SYSTEM_PAGING_UTILIZATION: Metric = Metric {
    name: metric::SYSTEM_PAGING_UTILIZATION,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "Share of swap space, on Windows of the page file, that is used.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Space on the system's volume by state.
pub const SYSTEM_FILESYSTEM_USAGE: Metric = Metric {
    name: metric::SYSTEM_FILESYSTEM_USAGE,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Space on the system's volume by state.",
    attributes: &[FILESYSTEM_MOUNTPOINT, FILESYSTEM_STATE],
    scope: HOST_SCOPE,
};
/// Size of the system's volume.
pub const SYSTEM_FILESYSTEM_LIMIT: Metric = Metric {
    name: metric::SYSTEM_FILESYSTEM_LIMIT,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Size of the system's volume.",
    attributes: &[FILESYSTEM_MOUNTPOINT],
    scope: HOST_SCOPE,
};
/// Share of the system's volume in use.
pub const SYSTEM_FILESYSTEM_UTILIZATION: Metric = Metric {
    name: metric::SYSTEM_FILESYSTEM_UTILIZATION,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "Share of the system's volume that is used.",
    attributes: &[FILESYSTEM_MOUNTPOINT],
    scope: HOST_SCOPE,
};
/// Network traffic.
pub const SYSTEM_NETWORK_IO: Metric = Metric {
    name: metric::SYSTEM_NETWORK_IO,
    unit: "By",
    instrument: Instrument::Counter,
    description: "Bytes over each network interface since the agent started. Loopback and interfaces that never carried \
                  anything are left out. Traffic of a tunnel is in the interface below it as well.",
    attributes: &[NETWORK_INTERFACE, NETWORK_DIRECTION],
    scope: HOST_SCOPE,
};
/// Time since the system started.
pub const SYSTEM_UPTIME: Metric = Metric {
    name: metric::SYSTEM_UPTIME,
    unit: "s",
    instrument: Instrument::Gauge,
    description: "Time since the operating system started.",
    attributes: &[],
    scope: HOST_SCOPE,
};
/// Charge of a battery.
pub const BATTERY_CHARGE: Metric = Metric {
    name: metric::HW_BATTERY_CHARGE,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "Charge of each battery, as a share of what it holds when full. Not there without a battery.",
    attributes: &[HARDWARE_ID, HARDWARE_VENDOR, HARDWARE_MODEL],
    scope: HOST_SCOPE,
};
/// Whether a machine with a battery runs on external power.
pub const POWER_EXTERNAL: Metric = Metric {
    name: "ioconnect.host.power.external",
    unit: "1",
    instrument: Instrument::Gauge,
    description: "1 on external power, 0 while a battery is discharging. Not there without a battery, or when no battery \
                  says.",
    attributes: &[],
    scope: HOST_SCOPE,
};

/// CPU time of the io.Connect processes.
pub const PROCESS_CPU_TIME: Metric = Metric {
    name: metric::PROCESS_CPU_TIME,
    unit: "s",
    instrument: Instrument::Counter,
    description: "CPU time, in all modes, that io.Connect's processes have used since the agent started. What a process uses \
                  between the last look at it and its end is missing.",
    attributes: &[PROCESS_ROLE],
    scope: PROCESSES_SCOPE,
};
/// CPU share of the io.Connect processes.
pub const PROCESS_CPU_UTILIZATION: Metric = Metric {
    name: metric::PROCESS_CPU_UTILIZATION,
    unit: "1",
    instrument: Instrument::Gauge,
    description: "CPU time of io.Connect's processes since the last export, divided by the elapsed time and the number of \
                  logical CPUs: 1 is the whole machine.",
    attributes: &[PROCESS_ROLE],
    scope: PROCESSES_SCOPE,
};
/// Memory of the io.Connect processes.
pub const PROCESS_MEMORY_USAGE: Metric = Metric {
    name: metric::PROCESS_MEMORY_USAGE,
    unit: "By",
    instrument: Instrument::UpDownCounter,
    description: "Physical memory of io.Connect's processes (Windows: working sets; Linux: resident sets), added up: memory \
                  that processes share counts once for each.",
    attributes: &[PROCESS_ROLE],
    scope: PROCESSES_SCOPE,
};
/// Number of the io.Connect processes.
pub const PROCESS_COUNT: Metric = Metric {
    name: "ioconnect.process.count",
    unit: "{process}",
    instrument: Instrument::UpDownCounter,
    description: "Processes of io.Connect. `main` counts the platforms that are running: 0 when there is none.",
    attributes: &[PROCESS_ROLE],
    scope: PROCESSES_SCOPE,
};

/// All of them.
pub const METRICS: &[Metric] = &[
    SYSTEM_CPU_UTILIZATION,
    SYSTEM_CPU_LOGICAL_COUNT,
    CPU_TIME_ABOVE_THRESHOLD,
    SYSTEM_MEMORY_USAGE,
    SYSTEM_MEMORY_LIMIT,
    SYSTEM_MEMORY_UTILIZATION,
    MEMORY_TIME_ABOVE_THRESHOLD,
    SYSTEM_PAGING_USAGE,
    SYSTEM_PAGING_UTILIZATION,
    SYSTEM_FILESYSTEM_USAGE,
    SYSTEM_FILESYSTEM_LIMIT,
    SYSTEM_FILESYSTEM_UTILIZATION,
    SYSTEM_NETWORK_IO,
    SYSTEM_UPTIME,
    BATTERY_CHARGE,
    POWER_EXTERNAL,
    PROCESS_CPU_TIME,
    PROCESS_CPU_UTILIZATION,
    PROCESS_MEMORY_USAGE,
    PROCESS_COUNT,
    USER_SESSION_TIME,
    APP_FOCUS_TIME,
    APP_FOCUS_DURATION,
    APP_SWITCHES,
    APP_STARTS,
    APP_RUNNING,
    APP_SESSION_DURATION,
    APP_HANGS,
    APP_CRASHES,
    PLATFORM_CRASHES,
    PLATFORM_STARTS,
    PLATFORM_START_DURATION,
    PLATFORM_SESSION_DURATION,
    REQUEST_DURATION,
    EXPORTED_METRICS,
    EXPORTED_TRACES,
    EXPORTED_LOGS,
    EXPORT_DURATION,
    QUEUED_TRACES,
    QUEUED_LOGS,
    QUEUE_REQUESTS,
    QUEUE_USAGE,
    QUEUE_LIMIT,
    QUEUE_AGE,
    DROPPED,
    LOGS_READ,
    LOGS_BEHIND,
    RECEIVED,
    RECEIVER_REFUSED,
    OWN_CPU_TIME,
    OWN_MEMORY_USAGE,
];
