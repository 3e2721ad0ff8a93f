//! The schedule of a run, which a seed determines.
//!
//! Each run has only some kinds of faults, chosen by its seed: with all of them at once, most would
//! hide each other.

use std::fmt;

use crate::collector::Mode;
use crate::records::Size;

/// How a log file is rotated or otherwise changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// `x.log` becomes `x.1.log`, as log4js does with `keepFileExt`.
    Rename,
    /// `x.log` becomes `x.log.1`.
    RenameBehind,
    /// Renamed, compressed, deleted.
    Compress,
    /// Copied to `x.1.log`, then truncated; nothing is written in between.
    CopyTruncate,
    /// The same with `x.log.1`.
    CopyTruncateBehind,
    /// Deleted; the next record creates the file again.
    Delete,
    /// All files of its folder are moved to the archive folder.
    Archive,
    /// The letter case of its name changes.
    OtherCase,
    /// A symbolic link to it is created beside it.
    Link,
    /// Its folder is deleted with all files; the next record creates both again.
    RemoveFolder,
}

impl Rotation {
    const ALL: [Self; 10] = [
        Self::Rename,
        Self::RenameBehind,
        Self::Compress,
        Self::CopyTruncate,
        Self::CopyTruncateBehind,
        Self::Delete,
        Self::Archive,
        Self::OtherCase,
        Self::Link,
        Self::RemoveFolder,
    ];
}

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Records are written to a file.
    Append {
        /// Which file.
        file: usize,
        /// How many.
        records: usize,
        /// How large they are.
        size: Size,
    },
    /// Records are written, the last one only in part. The rest is written before anything else in
    /// the file.
    AppendPart {
        /// Which file.
        file: usize,
        /// How many.
        records: usize,
        /// How much of the last record, in 256ths.
        part: usize,
    },
    /// A file is rotated.
    Rotate {
        /// Which file.
        file: usize,
        /// How.
        how: Rotation,
    },
    /// The agent is started, if it does not run.
    Start,
    /// The agent is killed, if it runs.
    Kill,
    /// The agent shuts down on request, if it runs.
    Stop,
    /// The agent's process is suspended, as when the machine sleeps.
    Suspend,
    /// The process is resumed.
    Resume,
    /// The collector changes its behaviour.
    Collector(Mode),
    /// The agent's clock gets an offset, in seconds.
    Clock(i64),
    /// No file of the agent can grow beyond this many bytes: a full disk.
    DiskFull(u64),
    /// The disk has space again.
    DiskFree,
}

/// What a run checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What arrives at the collector.
    Delivery,
    /// What is in the queue, while the collector is unreachable all the time.
    Queue,
}

/// How the agent is configured.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the run checks.
    pub about: About,
    /// The agent's settings.
    pub settings: Vec<&'static str>,
    /// Whether the queue is so small that it fills up.
    pub small_queue: bool,
}

/// The plan of a run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The seed that determines it.
    pub seed: u64,
    /// How the agent is configured.
    pub setup: Setup,
    /// The steps, each with the pause after it, in milliseconds.
    pub steps: Vec<(Step, u64)>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {}: {:?}, {} steps, {:?}", self.seed, self.setup.about, self.steps.len(), self.setup.settings)
    }
}

/// Number of files that are written; see [`crate::files`].
pub const FILES: usize = 5;
/// Index of the first file of applications; the files of the platform come before it.
const FIRST_OF_APPLICATIONS: usize = 2;
/// Number of steps, without the ones that end the faults.
const STEPS: std::ops::RangeInclusive<usize> = 15..=35;
/// Maximum pause after a step, in milliseconds.
const MAX_PAUSE: u64 = 160;
/// Pause before a folder is deleted, so that the agent can read its files, in milliseconds.
const TIME_TO_READ: u64 = 400;

/// What can happen in a run, with its weight.
struct Kinds {
    weights: Vec<(Kind, u32)>,
    rotations: Vec<Rotation>,
    files: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Append,
    Part,
    Bulk,
    Huge,
    Rotate,
    Kill,
    Stop,
    Suspend,
    Outage,
    Clock,
    Disk,
}

/// The state that the steps so far lead to.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent")]
struct State {
    running: bool,
    suspended: bool,
    outage: bool,
    full: bool,
    /// Files that have been written and not rotated since.
    there: Vec<usize>,
}

impl Schedule {
    /// Creates the schedule of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let about = if random.u8(..3) == 0 { About::Queue } else { About::Delivery };
        let small_queue = about == About::Delivery && random.u8(..4) == 0;
        let setup = Setup { about, settings: settings(&mut random, small_queue), small_queue };
        let kinds = kinds(&mut random, &setup);
        let mut state = State { running: true, ..State::default() };
        let mut steps = vec![(Step::Start, 0)];
        for _ in 0..random.usize(STEPS) {
            let step = next(&mut random, &kinds, &mut state);
            let pause = if random.bool() { random.u64(..20) } else { random.u64(..MAX_PAUSE) };
            if let (Step::Rotate { how: Rotation::RemoveFolder, .. }, Some((_, before))) = (step, steps.last_mut()) {
                *before += TIME_TO_READ;
            }
            steps.push((step, pause));
        }
        Self { seed, setup, steps }
    }
}

fn settings(random: &mut fastrand::Rng, small_queue: bool) -> Vec<&'static str> {
    let mut one_of = |values: &[&'static str]| random.choice(values.iter().copied()).unwrap_or_default();
    let mut settings = vec![
        one_of(&["collector.protocol=grpc", "collector.protocol=http/protobuf"]),
        one_of(&["collector.compression=gzip", "collector.compression=none"]),
        one_of(&["logs.poll_interval=200ms", "logs.poll_interval=1s", "logs.poll_interval=3s"]),
        "collector.timeout=500ms",
    ];
    if small_queue {
        settings.push("queue.max_bytes=1 MiB");
    }
    settings
}

/// Chooses the kinds of faults of a run: about half of them.
fn kinds(random: &mut fastrand::Rng, setup: &Setup) -> Kinds {
    let faults = [
        (Kind::Part, 4),
        (Kind::Huge, 2),
        (Kind::Rotate, 8),
        (Kind::Kill, 5),
        (Kind::Stop, 3),
        (Kind::Suspend, 2),
        (Kind::Outage, 4),
        (Kind::Clock, 3),
        (Kind::Disk, 3),
    ];
    let mut weights = vec![(Kind::Append, 12)];
    weights.extend(faults.into_iter().filter(|(kind, _)| {
        let chosen = random.u8(..5) < if *kind == Kind::Rotate { 4 } else { 2 };
        chosen && (*kind != Kind::Outage || setup.about == About::Delivery)
    }));
    if setup.small_queue {
        weights.push((Kind::Bulk, 8));
        weights.push((Kind::Outage, 3));
    }
    let rotations: Vec<Rotation> = Rotation::ALL.into_iter().filter(|_| random.u8(..5) < 2).collect();
    let count = random.usize(1..=FILES);
    let files = random.choose_multiple(0..FILES, count);
    Kinds { weights, rotations, files }
}

fn next(random: &mut fastrand::Rng, kinds: &Kinds, state: &mut State) -> Step {
    // Faults that last end soon.
    if !state.running && random.u8(..2) == 0 {
        state.running = true;
        return Step::Start;
    }
    if state.suspended && random.u8(..3) == 0 {
        state.suspended = false;
        return Step::Resume;
    }
    if state.outage && random.u8(..5) == 0 {
        state.outage = false;
        return Step::Collector(Mode::Accept);
    }
    if state.full && random.u8(..4) == 0 {
        state.full = false;
        return Step::DiskFree;
    }
    let file = random.choice(&kinds.files).copied().unwrap_or_default();
    let total: u32 = kinds.weights.iter().map(|(_, weight)| weight).sum();
    let mut at = random.u32(..total);
    let kind = kinds.weights.iter().find(|(_, weight)| {
        let found = at < *weight;
        at = at.wrapping_sub(*weight);
        found
    });
    let step = match kind.map_or(Kind::Append, |(kind, _)| *kind) {
        Kind::Append => {
            let records = if random.bool() { random.usize(1..5) } else { random.usize(1..300) };
            Step::Append { file, records, size: Size::Usual }
        }
        Kind::Part => Step::AppendPart { file, records: random.usize(1..10), part: random.usize(1..256) },
        Kind::Bulk => Step::Append { file, records: random.usize(50..300), size: Size::Bulky },
        Kind::Huge => Step::Append { file, records: random.usize(1..3), size: Size::Huge },
        Kind::Rotate => rotate(random, &kinds.rotations, state).unwrap_or(Step::Append {
            file,
            records: random.usize(1..40),
            size: Size::Usual,
        }),
        Kind::Kill => {
            (state.running, state.suspended) = (false, false);
            Step::Kill
        }
        Kind::Stop => {
            (state.running, state.suspended) = (false, false);
            Step::Stop
        }
        Kind::Suspend => {
            state.suspended = state.running;
            Step::Suspend
        }
        Kind::Outage => {
            state.outage = true;
            Step::Collector(random.choice(Mode::FAULTS).unwrap_or(Mode::Refuse))
        }
        Kind::Clock => Step::Clock(random.i64(-12 * 3600..12 * 3600)),
        Kind::Disk => {
            state.full = true;
            Step::DiskFull(if random.bool() { 0 } else { random.u64(..400_000) })
        }
    };
    if let Step::Append { file, .. } | Step::AppendPart { file, .. } = step {
        state.there.retain(|there| *there != file);
        state.there.push(file);
    }
    step
}

/// Chooses one of these rotations, for a file that exists.
fn rotate(random: &mut fastrand::Rng, rotations: &[Rotation], state: &mut State) -> Option<Step> {
    let how = *random.choice(rotations)?;
    let of_applications = |file: usize| file >= FIRST_OF_APPLICATIONS;
    let fits = |file: &&usize| how != Rotation::RemoveFolder || of_applications(**file);
    let file = *random.choice(state.there.iter().filter(fits).collect::<Vec<_>>())?;
    match how {
        Rotation::OtherCase | Rotation::Link => {}
        Rotation::Archive | Rotation::RemoveFolder => {
            state.there.retain(|there| of_applications(*there) != of_applications(file));
        }
        _ => state.there.retain(|there| *there != file),
    }
    Some(Step::Rotate { file, how })
}

#[cfg(test)]
mod tests;
