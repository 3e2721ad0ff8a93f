//! Scenario: everything that can happen to a log file, while it is tailed and while no agent runs.
//!
//! Guarantees: no line is lost, and no line is read twice.

use std::fs::File;

use super::*;

/// Rotation by renaming loses and repeats nothing, including lines written just before it.
#[test]
fn renamed_file_is_read_to_end() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &line("1"));
    assert_eq!(env.take_bodies(1), ["1"]);
    for turn in 0..5 {
        env.write("application.log", &line(&format!("{turn} last")));
        for number in (1..=turn).rev() {
            fs::rename(
                env.path(&format!("application.{number}.log")),
                env.path(&format!("application.{}.log", number + 1)),
            )
            .unwrap();
        }
        fs::rename(env.path("application.log"), env.path("application.1.log")).unwrap();
        env.write("application.log", &line(&format!("{turn} first")));
        let mut bodies = env.take_bodies(2);
        bodies.sort();
        assert_eq!(bodies, [format!("{turn} first"), format!("{turn} last")]);
    }
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// A truncated file counts as a new file: it is read from its beginning, with new record ids.
#[test]
fn truncated_file_is_read_from_start_under_new_id() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &(line("a long first line that is longer than the next") + &line("second")));
    let before = env.take(2);
    File::create(env.path("application.log")).unwrap();
    env.write("application.log", &line("new"));
    let after = env.take(1);
    assert_eq!(body(&after[0]), "new");
    assert_ne!(attribute(&before[0], "log.record.uid"), attribute(&after[0], "log.record.uid"));
    env.stop();
}

/// Lines written while the agent was stopped arrive once after its next start.
#[test]
fn restart_continues_at_stored_position() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &line("1"));
    assert_eq!(env.take_bodies(1), ["1"]);
    env.stop();
    env.write("application.log", &line("2"));
    fs::rename(env.path("application.log"), env.path("application.1.log")).unwrap();
    env.write("application.log", &line("3"));
    env.start();
    let mut bodies = env.take_bodies(2);
    bodies.sort();
    assert_eq!(bodies, ["2", "3"]);
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// Returns the file part of a record's uid.
fn file_id(record: &LogRecord) -> String {
    attribute(record, "log.record.uid").unwrap().split('-').next().unwrap().to_owned()
}

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| line(&number.to_string())).collect()
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort_by_key(|body| body.parse::<usize>().unwrap());
    bodies
}

/// log4js renames the full file, compresses it, and deletes the original, all within a moment.
#[test]
fn file_renamed_compressed_and_deleted_is_read_to_end() {
    let mut env = TestEnv::sharing();
    let mut next = 0;
    for _ in 0..5 {
        env.write("application.log", &numbered(next..next + 500));
        env.wait_for_files(1);
        fs::rename(env.path("application.log"), env.path("application.1.log")).unwrap();
        let mut compressed = flate2::write::GzEncoder::new(
            File::create(env.path("application.1.log.gz")).unwrap(),
            flate2::Compression::default(),
        );
        std::io::copy(&mut File::open(env.path("application.1.log")).unwrap(), &mut compressed).unwrap();
        compressed.finish().unwrap();
        // A program that still has the file open writes one more line.
        let mut late = OpenOptions::new().append(true).open(env.path("application.1.log")).unwrap();
        fs::remove_file(env.path("application.1.log")).unwrap();
        late.write_all(numbered(next + 500..next + 501).as_bytes()).unwrap();
        drop(late);
        assert_eq!(sorted(env.take_bodies(501)), numbers(next..next + 501));
        next += 501;
    }
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// The same while no agent runs: unread lines are read from the compressed file, and only from the
/// one that was this file.
#[test]
fn file_compressed_while_stopped_is_read_further() {
    let mut env = TestEnv::sharing();
    let logs = env.path("");
    let compress = |from: &str, to: &str| {
        let out = File::create(logs.join(to)).unwrap();
        let mut compressed = flate2::write::GzEncoder::new(out, flate2::Compression::default());
        std::io::copy(&mut File::open(logs.join(from)).unwrap(), &mut compressed).unwrap();
        compressed.finish().unwrap();
        fs::remove_file(logs.join(from)).unwrap();
    };
    env.write("other.log", &numbered(0..50));
    assert_eq!(env.take_bodies(50), numbers(0..50));
    env.write("application.log", &numbered(100..150));
    assert_eq!(env.take_bodies(50), numbers(100..150));
    env.stop();
    env.write("application.log", &numbered(150..200));
    fs::write(env.path("older"), numbered(900..950)).unwrap();
    compress("older", "application.2.log.gz");
    compress("application.log", "application.1.log.gz");
    env.write("application.log", &numbered(200..210));
    env.start();
    let mut records = env.take(60);
    records.sort_by_key(|record| body(record).parse::<usize>().unwrap());
    assert_eq!(records.iter().map(body).collect::<Vec<_>>(), numbers(150..210));
    assert!(records.iter().all(|record| attribute(record, "log.file.name").as_deref() == Some("application.log")));
    assert!(records.iter().all(|record| attribute(record, "ioconnect.env_region").is_some()));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// Without file system notifications, as on network drives, polling loses and repeats nothing.
#[test]
fn rotation_without_notifications_loses_nothing() {
    let mut env = TestEnv::new();
    env.extra = serde_json::json!({ "watch": false });
    env.start();
    env.share(true);
    for turn in 0..4 {
        let first = turn * 20;
        env.write("application.log", &numbered(first..first + 10));
        fs::rename(env.path("application.log"), env.path(&format!("application.{turn}.log"))).unwrap();
        env.write("application.log", &numbered(first + 10..first + 20));
        assert_eq!(sorted(env.take_bodies(20)), numbers(first..first + 20));
        fs::rename(env.path("application.log"), env.path(&format!("application.1{turn}.log"))).unwrap();
    }
    env.stop();
}

/// A new file at the path of a deleted one is read from its beginning, even if the system reuses
/// the file number, and whether or not the agent was running.
#[test]
fn recreated_file_is_read_from_start() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &numbered(100..120));
    assert_eq!(env.take_bodies(20), numbers(100..120));
    fs::remove_file(env.path("application.log")).unwrap();
    env.write("application.log", &numbered(200..230));
    assert_eq!(env.take_bodies(30), numbers(200..230));

    env.stop();
    fs::remove_file(env.path("application.log")).unwrap();
    env.write("application.log", &numbered(300..340));
    env.start();
    assert_eq!(env.take_bodies(40), numbers(300..340));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// A file was truncated and has grown beyond its old length unobserved: its first bytes or the
/// bytes before the position differ.
#[test]
fn file_truncated_and_regrown_while_stopped_is_read_from_start() {
    let mut env = TestEnv::sharing();
    let banner = format!("{}\n", "=".repeat(300));
    env.write("application.log", &(banner.clone() + &numbered(100..110)));
    assert_eq!(env.take(11).len(), 11);
    env.stop();
    fs::write(env.path("application.log"), banner + &numbered(200..300)).unwrap();
    env.start();
    assert_eq!(env.take_bodies(101)[1..], numbers(200..300));
    env.stop();
    let counters = queue_counters(&env);
    assert_eq!(counters["begun_anew.logs"], 1);
}

fn queue_counters(env: &TestEnv) -> std::collections::BTreeMap<String, u64> {
    crate::pipeline::queue::inspect(&env.dir.path().join("queue.db")).unwrap().counters
}

/// logrotate's copytruncate copies and truncates the file. Unread lines are read from the copy and
/// nothing is read twice, whether or not the agent was running.
#[test]
fn copy_continues_after_original_is_truncated() {
    let mut env = TestEnv::sharing();
    let rotate = |env: &TestEnv, turn: usize| {
        for number in (1..=turn).rev() {
            fs::rename(
                env.path(&format!("application.log.{number}")),
                env.path(&format!("application.log.{}", number + 1)),
            )
            .unwrap();
        }
        fs::copy(env.path("application.log"), env.path("application.log.1")).unwrap();
        OpenOptions::new().write(true).open(env.path("application.log")).unwrap().set_len(0).unwrap();
    };
    let mut next = 100;
    for turn in 0..4 {
        env.write("application.log", &numbered(next..next + 300));
        rotate(&env, turn);
        env.write("application.log", &numbered(next + 300..next + 310));
        assert_eq!(sorted(env.take_bodies(310)), numbers(next..next + 310), "turn {turn}");
        next += 310;
    }
    env.stop();
    env.write("application.log", &numbered(next..next + 300));
    rotate(&env, 4);
    env.write("application.log", &numbered(next + 300..next + 310));
    env.start();
    assert_eq!(sorted(env.take_bodies(310)), numbers(next..next + 310));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// A copy that someone makes is ignored, also after its original grows or is deleted.
#[test]
fn copy_of_read_file_is_not_read() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &numbered(100..200));
    assert_eq!(env.take_bodies(100), numbers(100..200));
    fs::copy(env.path("application.log"), env.path("application-copy.log")).unwrap();
    env.wait_for_files(2);
    env.write("application.log", &numbered(200..250));
    assert_eq!(env.take_bodies(50), numbers(200..250));
    fs::remove_file(env.path("application.log")).unwrap();
    env.wait_for_files(1);
    env.write("gw.log", &line("300"));
    assert_eq!(env.take_bodies(1), ["300"]);
    assert_eq!(env.take_until_marker("gw.log"), Vec::<String>::new());
    env.stop();
}

/// A file and its copy were both created while no agent ran. Each line is read once, whichever file
/// is found first.
#[test]
fn copy_of_unread_file_is_not_read() {
    let mut env = TestEnv::sharing();
    env.wait_for_files(0);
    env.stop();
    for file in 0..8 {
        env.write(&format!("app{file}.log"), &numbered(file * 10..file * 10 + 10));
        fs::copy(env.path(&format!("app{file}.log")), env.path(&format!("app{file}.log.1"))).unwrap();
        env.write(&format!("app{file}.log"), &numbered(80 + file..81 + file));
    }
    env.start();
    assert_eq!(sorted(env.take_bodies(88)), numbers(0..88));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// At start, io.Connect moves the files of its last run to an archive folder. Their unread lines
/// are read there; other files in the archive are not.
#[test]
fn archived_file_is_read_to_end() {
    let mut env = TestEnv::sharing();
    fs::create_dir_all(env.path("archive/2026-11-22")).unwrap();
    env.write("archive/2026-11-22/application.log", &line("0"));
    env.write("application.log", &numbered(100..110));
    assert_eq!(env.take_bodies(10), numbers(100..110));
    env.write("application.log", &numbered(110..120));
    fs::create_dir_all(env.path("archive/2026-11-23")).unwrap();
    fs::rename(env.path("application.log"), env.path("archive/2026-11-23/application.log")).unwrap();
    assert_eq!(env.take_bodies(10), numbers(110..120));

    env.write("application.log", &numbered(120..130));
    assert_eq!(env.take_bodies(10), numbers(120..130));
    env.stop();
    env.write("application.log", &numbered(130..140));
    fs::rename(env.path("application.log"), env.path("archive/application.log")).unwrap();
    env.write("application.log", &numbered(140..150));
    env.start();
    assert_eq!(sorted(env.take_bodies(20)), numbers(130..150));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// The files in a log folder that is deleted and created again are new files.
#[test]
fn recreated_folder_is_tailed() {
    let mut env = TestEnv::sharing();
    for turn in 0..3 {
        env.write("applications/clientlist.log", &numbered(turn * 10..turn * 10 + 10));
        assert_eq!(env.take_bodies(10), numbers(turn * 10..turn * 10 + 10));
        fs::remove_dir_all(env.path("applications")).unwrap();
        fs::create_dir(env.path("applications")).unwrap();
    }
    env.stop();
}

/// On Windows letter case does not matter: a file renamed to another case stays the same file.
#[test]
fn file_renamed_to_other_letter_case_keeps_id() {
    let mut env = TestEnv::sharing();
    env.write("application.log", &numbered(100..110));
    let before = env.take(10);
    fs::rename(env.path("application.log"), env.path("Application.LOG")).unwrap();
    env.write("Application.LOG", &numbered(110..120));
    let after = env.take(10);
    assert_eq!(after.iter().map(body).collect::<Vec<_>>(), numbers(110..120));
    assert_eq!(file_id(&before[0]), file_id(&after[0]));
    env.stop();
}

/// A file with several names, by links, is one file.
#[cfg(unix)]
#[test]
fn links_are_read_as_their_target() {
    let mut env = TestEnv::sharing();
    let elsewhere = env.dir.path().join("elsewhere.log");
    std::os::unix::fs::symlink(&elsewhere, env.path("dangling.log")).unwrap();
    std::os::unix::fs::symlink(env.path("application.log"), env.path("a-current.log")).unwrap();
    std::os::unix::fs::symlink(env.path("application.log"), env.path("z-current.log")).unwrap();
    env.write("application.log", &numbered(100..110));
    fs::hard_link(env.path("application.log"), env.path("hard.log")).unwrap();
    assert_eq!(env.take_bodies(10), numbers(100..110));
    append(&elsewhere, &numbered(200..210));
    assert_eq!(env.take_bodies(10), numbers(200..210));
    assert_eq!(env.take_until_marker("application.log"), Vec::<String>::new());
    env.stop();
}

/// Two environments: one exists from the start, one is created later.
#[test]
fn every_environment_is_tailed() {
    let mut env = TestEnv::sharing();
    let other = env.dir.path().join("UserData/UAT-EMEA/logs");
    fs::create_dir_all(&other).unwrap();
    env.write("application.log", &line("1"));
    append(&other.join("application.log"), &line("2"));
    let mut records = env.take(2);
    records.sort_by_key(body);
    let regions: Vec<_> = records.iter().map(|record| attribute(record, "ioconnect.env_region").unwrap()).collect();
    assert_eq!(regions, ["DEMO-INTEROP.IO", "UAT-EMEA"]);
    env.stop();
}
