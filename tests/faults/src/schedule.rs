//! What happens in a run: one seed, one schedule.
//!
//! Each run has some kinds of faults only, chosen by its seed: with all of them at once, most would hide each other.

use std::fmt;

use crate::collector::Mode;
use crate::records::Size;

/// How a log file is rotated, or what else is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// `x.log` becomes `x.1.log`, as log4js does with `keepFileExt`.
    Rename,
    /// `x.log` becomes `x.log.1`.
    RenameBehind,
    /// Renamed, compressed, deleted.
    Compress,
    /// Copied to `x.1.log`, then cut to nothing; nothing is written in between.
    CopyTruncate,
    /// The same with `x.log.1`.
    CopyTruncateBehind,
    /// Deleted; the next record makes it anew.
    Delete,
    /// All files of its folder are moved to the folder of archives.
    Archive,
    /// Its name gets other letter case.
    OtherCase,
    /// A symbolic link to it is made beside it.
    Link,
    /// All files of its folder are deleted, and the folder too; the next record makes it anew.
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

/// One thing that happens.
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
    /// Records are written, the last of them only in part; the rest is written before anything else comes into the file.
    AppendPart {
        /// Which file.
        file: usize,
        /// How many.
        records: usize,
        /// How much of the last one, in 1/256.
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
    /// The agent is asked to end, if it runs, and does.
    Stop,
    /// The agent's process is stopped, as if the machine slept.
    Suspend,
    /// It goes on.
    Resume,
    /// The collector does otherwise.
    Collector(Mode),
    /// The agent's clock is so many seconds off.
    Clock(i64),
    /// No file of the agent can be longer than so many bytes: a full disk.
    DiskFull(u64),
    /// It can again.
    DiskFree,
}

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What arrives at a collector.
    Delivery,
    /// What is in the queue, with the collector away all the time.
    Queue,
}

/// How the agent is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the run is about.
    pub about: About,
    /// The agent's settings.
    pub settings: Vec<&'static str>,
    /// Whether the queue is so small that it gets full.
    pub small_queue: bool,
}

/// A run, before it happens.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What it follows from.
    pub seed: u64,
    /// How the agent is set up.
    pub setup: Setup,
    /// What happens, each with a pause of so many milliseconds behind it.
    pub steps: Vec<(Step, u64)>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {}: {:?}, {} steps, {:?}", self.seed, self.setup.about, self.steps.len(), self.setup.settings)
    }
}

/// Files that are written; see [`super::files`].
pub const FILES: usize = 5;
/// The platform's come before it.
const FIRST_OF_APPLICATIONS: usize = 2;
/// Steps of a run, without the ones that put an end to faults.
const STEPS: std::ops::RangeInclusive<usize> = 15..=35;
/// Longest pause behind a step, in milliseconds.
const LONGEST_PAUSE: u64 = 160;
/// Pause before all files of a folder are deleted, which must have been read, in milliseconds.
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

/// What is the case while a schedule is drawn up.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)]
struct Now {
    running: bool,
    suspended: bool,
    outage: bool,
    full: bool,
    /// Files that have been written, and not rotated since.
    there: Vec<usize>,
}

impl Schedule {
    /// The schedule of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let about = if random.u8(..3) == 0 { About::Queue } else { About::Delivery };
        let small_queue = about == About::Delivery && random.u8(..4) == 0;
        let setup = Setup { about, settings: settings(&mut random, small_queue), small_queue };
        let kinds = kinds(&mut random, &setup);
        let mut now = Now { running: true, ..Now::default() };
        let mut steps = vec![(Step::Start, 0)];
        for _ in 0..random.usize(STEPS) {
            let step = next(&mut random, &kinds, &mut now);
            let pause = if random.bool() { random.u64(..20) } else { random.u64(..LONGEST_PAUSE) };
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

/// What happens in this run: mostly half of all there is.
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

fn next(random: &mut fastrand::Rng, kinds: &Kinds, now: &mut Now) -> Step {
    // What has begun comes to an end before long.
    if !now.running && random.u8(..2) == 0 {
        now.running = true;
        return Step::Start;
    }
    if now.suspended && random.u8(..3) == 0 {
        now.suspended = false;
        return Step::Resume;
    }
    if now.outage && random.u8(..5) == 0 {
        now.outage = false;
        return Step::Collector(Mode::Accept);
    }
    if now.full && random.u8(..4) == 0 {
        now.full = false;
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
        Kind::Rotate => rotate(random, &kinds.rotations, now).unwrap_or(Step::Append {
            file,
            records: random.usize(1..40),
            size: Size::Usual,
        }),
        Kind::Kill => {
            (now.running, now.suspended) = (false, false);
            Step::Kill
        }
        Kind::Stop => {
            (now.running, now.suspended) = (false, false);
            Step::Stop
        }
        Kind::Suspend => {
            now.suspended = now.running;
            Step::Suspend
        }
        Kind::Outage => {
            now.outage = true;
            Step::Collector(random.choice(Mode::FAULTS).unwrap_or(Mode::Refuse))
        }
        Kind::Clock => Step::Clock(random.i64(-12 * 3600..12 * 3600)),
        Kind::Disk => {
            now.full = true;
            Step::DiskFull(if random.bool() { 0 } else { random.u64(..400_000) })
        }
    };
    if let Step::Append { file, .. } | Step::AppendPart { file, .. } = step {
        now.there.retain(|there| *there != file);
        now.there.push(file);
    }
    step
}

/// One of these rotations, of a file that is there.
fn rotate(random: &mut fastrand::Rng, rotations: &[Rotation], now: &mut Now) -> Option<Step> {
    let how = *random.choice(rotations)?;
    let of_applications = |file: usize| file >= FIRST_OF_APPLICATIONS;
    let fits = |file: &&usize| how != Rotation::RemoveFolder || of_applications(**file);
    let file = *random.choice(now.there.iter().filter(fits).collect::<Vec<_>>())?;
    match how {
        Rotation::OtherCase | Rotation::Link => {}
        Rotation::Archive | Rotation::RemoveFolder => {
            now.there.retain(|there| of_applications(*there) != of_applications(file));
        }
        _ => now.there.retain(|there| *there != file),
    }
    Some(Step::Rotate { file, how })
}

#[cfg(test)]
mod tests;
