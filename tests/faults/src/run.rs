//! One run: carries out a schedule and reports the result.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::account::{Account, Pieces, account};
use crate::collector::{Collector, Mode};
use crate::files::{Files, Key, Reader};
use crate::process::{Agent, faketime};
use crate::queue_file::QueueFile;
use crate::records::Size;
use crate::schedule::{About, Schedule, Step};
use test_support::test_env::TestEnv;
use test_support::{LIMIT, wait_for};

/// Interval between two checks whether everything has arrived.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum number of times that a record may be sent. Each repeat needs a failure, followed by a
/// pause, or a restart.
const MAX_SENDS: usize = 30;
/// Minimum number of events in a run: one for each kind of logs that is shared.
const MIN_EVENTS: u64 = 2;
/// Maximum number of events in a run: each restart can repeat them.
const MAX_EVENTS: u64 = 40;
/// Maximum number of findings of a kind that the report shows.
const MAX_SHOWN: usize = 8;

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// The schedule.
    pub schedule: Schedule,
    /// Number of records that were written.
    pub records: usize,
    /// What happened to them.
    pub account: Account,
    /// The agent's counters of logs.
    pub counters: BTreeMap<String, u64>,
    /// Other problems.
    pub problems: Vec<String>,
    /// What each step did.
    pub trace: Vec<String>,
    /// Duration of the run.
    pub took: Duration,
    /// Folder with all files of a failed run.
    pub kept: Option<PathBuf>,
}

impl Report {
    /// Returns whether nothing was lost, duplicated or otherwise wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.account.is_clean() && self.problems.is_empty()
    }

    /// Returns the figures in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { schedule, records, account, .. } = self;
        format!(
            "seed {:<20} {:>8} {:>3} steps {records:>6} records {:>3} lost {:>3} duplicated {:>5} repeats {:>5} rejected {:>5.1} s{}",
            schedule.seed,
            format!("{:?}", schedule.setup.about).to_lowercase(),
            schedule.steps.len(),
            account.lost.len(),
            account.duplicated.len(),
            account.repeats,
            account.never_accepted,
            self.took.as_secs_f64(),
            if self.is_good() { "" } else { "  FAILED" }
        )
    }
}

impl fmt::Display for Report {
    /// Writes everything that helps to find out what went wrong.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n{}", self.schedule, self.line())?;
        for line in &self.trace {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "counters: {:?}", self.counters)?;
        let Account { lost, duplicated, wrong, .. } = &self.account;
        for (what, records) in [("lost", lost), ("duplicated", duplicated)] {
            if !records.is_empty() {
                writeln!(out, "{what}: {} records, {:?} ...", records.len(), &records[..records.len().min(MAX_SHOWN)])?;
            }
        }
        wrong.iter().take(MAX_SHOWN).try_for_each(|wrong| writeln!(out, "wrong: {wrong}"))?;
        self.problems.iter().try_for_each(|problem| writeln!(out, "problem: {problem}"))?;
        if let Some(kept) = &self.kept {
            writeln!(out, "kept in {}", kept.display())?;
        }
        writeln!(
            out,
            "repeat with: SOAK_SEED={} cargo test -p test-faults --test faults -- --nocapture",
            self.schedule.seed
        )
    }
}

/// Runs the schedule of a seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    let schedule = Schedule::of(seed);
    let started = Instant::now();
    let mut run = Run::new(schedule);
    // A panic is a finding like any other.
    let ended = catch_unwind(AssertUnwindSafe(|| run.carry_out()));
    let mut problems = std::mem::take(&mut run.problems);
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        problems.push(text.unwrap_or_else(|| "a panic".to_owned()));
    }
    let Run { schedule, mut env, files, trace, account, counters, agent, .. } = run;
    drop(agent);
    let mut report = Report {
        schedule,
        records: files.written.records.len(),
        account,
        counters,
        problems,
        trace,
        took: started.elapsed(),
        kept: None,
    };
    if !report.is_good() {
        report.kept = Some(env.keep());
    }
    report
}

struct Run {
    schedule: Schedule,
    env: TestEnv,
    files: Files,
    agent: Agent,
    collector: Collector,
    /// How the collector behaves now.
    mode: Mode,
    queue: QueueFile,
    trace: Vec<String>,
    account: Account,
    counters: BTreeMap<String, u64>,
    problems: Vec<String>,
}

impl Run {
    fn new(schedule: Schedule) -> Self {
        let collector = Collector::start();
        let mut env = TestEnv::new();
        env.set(format!("collector.endpoint={}", collector.endpoint()));
        schedule.setup.settings.iter().for_each(|setting| env.set(*setting));
        let mode = if schedule.setup.about == About::Queue { Mode::Refuse } else { Mode::Accept };
        collector.set(mode);
        let _ = env.ok(&["logs", "share", "on"]);
        Self {
            files: Files::new(&env.log(""), schedule.seed),
            agent: Agent::new(&env),
            queue: QueueFile::new(&env.data()),
            schedule,
            env,
            collector,
            mode,
            trace: Vec::new(),
            account: Account::default(),
            counters: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    fn carry_out(&mut self) {
        let started = Instant::now();
        for (step, pause) in self.schedule.steps.clone() {
            let elapsed = started.elapsed();
            // Shows which step it was if the step panics.
            self.trace.push(format!("{:>6} ms  {step:?}", elapsed.as_millis()));
            let did = self.step(step);
            self.trace.pop();
            self.trace.push(format!("{:>6} ms  {step:?}: {did}", elapsed.as_millis()));
            self.check_agent();
            std::thread::sleep(Duration::from_millis(pause));
        }
        self.trace.push(format!("{:>6} ms  all faults end", started.elapsed().as_millis()));
        self.end_faults();
        self.wait_for_all();
        self.trace.push(format!("{:>6} ms  waited", started.elapsed().as_millis()));
        if self.agent.stop(&self.env) != Some(true) {
            self.problems.push("the agent did not end well".to_owned());
        }
        self.trace.push(format!("{:>6} ms  stopped", started.elapsed().as_millis()));
        self.judge();
    }

    fn step(&mut self, step: Step) -> String {
        let was = |done: bool| if done { "done" } else { "skipped: it does not run" }.to_owned();
        match step {
            Step::Append { file, records, size } => self.files.append(file, records, size, None),
            Step::AppendPart { file, records, part } => self.files.append(file, records, Size::Usual, Some(part)),
            Step::Rotate { file, how } => {
                let Self { files, agent, queue, mode, schedule, .. } = self;
                // With a small queue, reading waits for the collector.
                let can_read = !agent.is_full() && (*mode == Mode::Accept || !schedule.setup.small_queue);
                files.rotate(file, how, &Observed { queue, agent, can_read })
            }
            Step::Start => {
                let done = self.agent.start(&self.env);
                if done { "done" } else { "skipped: it runs" }.to_owned()
            }
            Step::Kill => was(self.agent.kill()),
            Step::Stop => match self.agent.stop(&self.env) {
                Some(false) => {
                    self.problems.push("the agent did not end well".to_owned());
                    "it did not end well".to_owned()
                }
                done => was(done.is_some()),
            },
            Step::Suspend => was(self.agent.suspend()),
            Step::Resume => was(self.agent.resume()),
            Step::Collector(mode) => {
                self.mode = mode;
                self.collector.set(mode);
                "done".to_owned()
            }
            Step::Clock(seconds) => {
                self.agent.set_clock(seconds);
                if faketime().is_some() { "done" } else { "skipped: libfaketime is not installed" }.to_owned()
            }
            Step::DiskFull(bytes) => was(self.agent.limit_files(Some(bytes))),
            Step::DiskFree => was(self.agent.limit_files(None)),
        }
    }

    /// Records a problem if the agent exited by itself.
    fn check_agent(&mut self) {
        let Some(exit) = self.agent.exited() else { return };
        self.trace.push(format!("           the agent exited by itself: {}", exit.status));
        if !exit.disk_was_full {
            self.problems.push(format!("the agent exited by itself: {}", exit.status));
        }
    }

    fn end_faults(&mut self) {
        self.check_agent();
        if self.schedule.setup.about == About::Delivery {
            self.mode = Mode::Accept;
            self.collector.set(self.mode);
        }
        self.agent.resume();
        self.agent.limit_files(None);
        self.agent.start(&self.env);
        self.files.finish_all();
    }

    /// Waits until every record has arrived, for at most [`LIMIT`].
    fn wait_for_all(&mut self) {
        let until = Instant::now() + LIMIT;
        // The agent that was just started may still have to create the file.
        wait_for("the queue file", || self.queue.exists().then_some(()));
        while Instant::now() < until {
            self.check_agent();
            let pieces = self.pieces();
            let account = account(&self.files.written, &pieces);
            // While something is queued, a last request may still be in flight.
            let all_gone = self.schedule.setup.about == About::Queue || self.queue.queued().is_empty();
            if account.is_clean() && all_gone || !account.duplicated.is_empty() {
                return;
            }
            std::thread::sleep(CHECK_INTERVAL);
        }
        self.problems.push(format!("waited {} s for all records", LIMIT.as_secs()));
    }

    /// Returns what has become of the records so far.
    fn pieces(&self) -> Pieces {
        match self.schedule.setup.about {
            About::Delivery => self.collector.seen().clone(),
            About::Queue => self.queue.queued(),
        }
    }

    fn judge(&mut self) {
        let pieces = self.pieces();
        self.account = account(&self.files.written, &pieces);
        self.counters = self.queue.counters();
        self.counters.retain(|name, _| name.contains(".logs"));
        let queued_now = self.queue.queued_items();
        let count = |name: &str| self.counters.get(name).copied().unwrap_or_default();
        let all_of =
            |part: &str| self.counters.iter().filter(|(name, _)| name.starts_with(part)).map(|(_, n)| n).sum::<u64>();
        let (read, delivered, rejected) = (count("read.logs"), count("delivered.logs"), count("rejected.logs"));
        let (dropped, refused) = (all_of("dropped.logs."), count("dropped.logs.refused"));
        let mut problem = |is: bool, text: String| {
            if is {
                self.problems.push(text);
            }
        };
        // Besides the records of files there are events: one for each kind of logs that is shared,
        // and a repeat if the agent was killed before it had recorded that it sent the event.
        let queued = count("queued.logs");
        problem(queued < read + MIN_EVENTS || queued > read + MAX_EVENTS, format!("{read} read, but {queued} queued"));
        problem(
            queued != delivered + rejected + dropped + queued_now,
            format!(
                "{queued} queued, but {delivered} delivered + {rejected} rejected + {dropped} dropped + {queued_now} still queued"
            ),
        );
        problem(read != pieces.len() as u64, format!("{read} read, but {} different records arrived", pieces.len()));
        problem(
            self.account.never_accepted > rejected + refused,
            format!(
                "{} records were never accepted, but only {rejected} rejected and {refused} refused are counted",
                self.account.never_accepted
            ),
        );
        problem(dropped > refused, "records were dropped that were not rejected".to_owned());
        let most = pieces.values().map(|piece| piece.accepted).max().unwrap_or_default();
        problem(most > MAX_SENDS, format!("a record was sent {most} times"));
        let repeated = self.schedule.setup.about == About::Queue && self.account.repeats > 0;
        problem(repeated, "records are in the queue twice".to_owned());
        let check = self.queue.check();
        problem(check != "ok", format!("SQLite finds: {check}"));
        let said = self.env.agent_log();
        problem(said.contains("panicked"), "a thread of the agent panicked; see agent.log".to_owned());
        let names = fs::read_dir(self.env.data()).expect("the data folder").flatten();
        let quarantined = names.map(|entry| entry.file_name()).find(|name| {
            let name = name.to_string_lossy();
            name.starts_with("queue.db") && !["queue.db", "queue.db-wal", "queue.db-shm"].contains(&&*name)
        });
        problem(quarantined.is_some(), format!("a queue was quarantined: {quarantined:?}"));
    }
}

/// What the agent has done with files, observed from outside.
struct Observed<'a> {
    queue: &'a QueueFile,
    agent: &'a Agent,
    /// Nothing keeps the agent from reading on.
    can_read: bool,
}

impl Reader for Observed<'_> {
    fn knows(&self, key: Key, bytes: &[u8]) -> bool {
        self.queue.position(key).is_some_and(|position| bytes.starts_with(&position.first))
    }

    fn has_read(&self, key: Key, bytes: &[u8]) -> bool {
        let position = self.queue.position(key);
        position.is_some_and(|position| position.bytes == bytes.len() as u64 && bytes.starts_with(&position.first))
    }

    fn holds(&self, key: Key) -> bool {
        self.agent.is_at_work() && self.can_read && self.agent.has_open(key)
    }

    fn wait_until_read(&self, key: Key) {
        wait_for("a deleted file to be read to its end", || self.queue.has_forgotten(key).then_some(()));
    }
}
