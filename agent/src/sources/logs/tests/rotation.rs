//! Everything that can become of a log file while it is followed, or while no agent runs.

use std::fs::File;

use super::*;

/// Rotation by rename loses and doubles nothing, also what was written just before it.
#[test]
fn a_renamed_file_is_read_to_its_end() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &line("1"));
    assert_eq!(desk.take_bodies(1), ["1"]);
    for turn in 0..5 {
        desk.write("application.log", &line(&format!("{turn} last")));
        for number in (1..=turn).rev() {
            fs::rename(
                desk.path(&format!("application.{number}.log")),
                desk.path(&format!("application.{}.log", number + 1)),
            )
            .unwrap();
        }
        fs::rename(desk.path("application.log"), desk.path("application.1.log")).unwrap();
        desk.write("application.log", &line(&format!("{turn} first")));
        let mut bodies = desk.take_bodies(2);
        bodies.sort();
        assert_eq!(bodies, [format!("{turn} first"), format!("{turn} last")]);
    }
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// A file that is cut short is another file: read from its beginning, with new identifiers.
#[test]
fn a_truncated_file_is_read_again() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &(line("a long first line that is longer than the next") + &line("second")));
    let before = desk.take(2);
    File::create(desk.path("application.log")).unwrap();
    desk.write("application.log", &line("new"));
    let after = desk.take(1);
    assert_eq!(body(&after[0]), "new");
    assert_ne!(attribute(&before[0], "log.record.uid"), attribute(&after[0], "log.record.uid"));
    desk.stop();
}

/// What was written while the agent was not running arrives after its next start, once.
#[test]
fn a_restart_goes_on_where_it_ended() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &line("1"));
    assert_eq!(desk.take_bodies(1), ["1"]);
    desk.stop();
    desk.write("application.log", &line("2"));
    fs::rename(desk.path("application.log"), desk.path("application.1.log")).unwrap();
    desk.write("application.log", &line("3"));
    desk.start();
    let mut bodies = desk.take_bodies(2);
    bodies.sort();
    assert_eq!(bodies, ["2", "3"]);
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// The uid of a record without its offset: our id of the file.
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

/// log4js renames the full file, compresses it, and deletes what it has compressed: all in a moment.
#[test]
fn a_file_that_is_renamed_compressed_and_deleted_is_read_to_its_end() {
    let mut desk = Desk::sharing();
    let mut next = 0;
    for _ in 0..5 {
        desk.write("application.log", &numbered(next..next + 500));
        desk.wait_for_files(1);
        fs::rename(desk.path("application.log"), desk.path("application.1.log")).unwrap();
        let mut compressed = flate2::write::GzEncoder::new(
            File::create(desk.path("application.1.log.gz")).unwrap(),
            flate2::Compression::default(),
        );
        std::io::copy(&mut File::open(desk.path("application.1.log")).unwrap(), &mut compressed).unwrap();
        compressed.finish().unwrap();
        // What a program writes that still has the file open.
        let mut late = OpenOptions::new().append(true).open(desk.path("application.1.log")).unwrap();
        fs::remove_file(desk.path("application.1.log")).unwrap();
        late.write_all(numbered(next + 500..next + 501).as_bytes()).unwrap();
        drop(late);
        assert_eq!(sorted(desk.take_bodies(501)), numbers(next..next + 501));
        next += 501;
    }
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// The same while no agent runs: what had not been read is read of the compressed file, and only of the one that it is.
#[test]
fn a_file_that_was_compressed_while_no_agent_ran_is_read_on() {
    let mut desk = Desk::sharing();
    let logs = desk.path("");
    let compress = |from: &str, to: &str| {
        let out = File::create(logs.join(to)).unwrap();
        let mut compressed = flate2::write::GzEncoder::new(out, flate2::Compression::default());
        std::io::copy(&mut File::open(logs.join(from)).unwrap(), &mut compressed).unwrap();
        compressed.finish().unwrap();
        fs::remove_file(logs.join(from)).unwrap();
    };
    desk.write("other.log", &numbered(0..50));
    assert_eq!(desk.take_bodies(50), numbers(0..50));
    desk.write("application.log", &numbered(100..150));
    assert_eq!(desk.take_bodies(50), numbers(100..150));
    desk.stop();
    desk.write("application.log", &numbered(150..200));
    fs::write(desk.path("older"), numbered(900..950)).unwrap();
    compress("older", "application.2.log.gz");
    compress("application.log", "application.1.log.gz");
    desk.write("application.log", &numbered(200..210));
    desk.start();
    let mut records = desk.take(60);
    records.sort_by_key(|record| body(record).parse::<usize>().unwrap());
    assert_eq!(records.iter().map(body).collect::<Vec<_>>(), numbers(150..210));
    assert!(records.iter().all(|record| attribute(record, "log.file.name").as_deref() == Some("application.log")));
    assert!(records.iter().all(|record| attribute(record, "ioconnect.env_region").is_some()));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// Where the system tells nothing of changes, as on network drives, looking serves: nothing is lost or doubled.
#[test]
fn rotation_without_any_wake_up() {
    let mut desk = Desk::new();
    desk.extra = serde_json::json!({ "watch": false });
    desk.start();
    desk.share(true);
    for turn in 0..4 {
        let first = turn * 20;
        desk.write("application.log", &numbered(first..first + 10));
        fs::rename(desk.path("application.log"), desk.path(&format!("application.{turn}.log"))).unwrap();
        desk.write("application.log", &numbered(first + 10..first + 20));
        assert_eq!(sorted(desk.take_bodies(20)), numbers(first..first + 20));
        fs::rename(desk.path("application.log"), desk.path(&format!("application.1{turn}.log"))).unwrap();
    }
    desk.stop();
}

/// A new file in the place of a deleted one is read from its beginning, even where the system gives it the number of the
/// deleted one, and whether the agent runs meanwhile or not.
#[test]
fn a_file_that_is_deleted_and_made_again_is_read_from_its_beginning() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &numbered(100..120));
    assert_eq!(desk.take_bodies(20), numbers(100..120));
    fs::remove_file(desk.path("application.log")).unwrap();
    desk.write("application.log", &numbered(200..230));
    assert_eq!(desk.take_bodies(30), numbers(200..230));

    desk.stop();
    fs::remove_file(desk.path("application.log")).unwrap();
    desk.write("application.log", &numbered(300..340));
    desk.start();
    assert_eq!(desk.take_bodies(40), numbers(300..340));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// Cut short and written again beyond its old length, while nobody looked: it begins otherwise, or has other bytes
/// before the position.
#[test]
fn a_file_that_was_cut_short_and_has_grown_again_is_read_from_its_beginning() {
    let mut desk = Desk::sharing();
    let banner = format!("{}\n", "=".repeat(300));
    desk.write("application.log", &(banner.clone() + &numbered(100..110)));
    assert_eq!(desk.take(11).len(), 11);
    desk.stop();
    fs::write(desk.path("application.log"), banner + &numbered(200..300)).unwrap();
    desk.start();
    assert_eq!(desk.take_bodies(101)[1..], numbers(200..300));
    desk.stop();
    let counters = queue_counters(&desk);
    assert_eq!(counters["begun_anew.logs"], 1);
}

fn queue_counters(desk: &Desk) -> std::collections::BTreeMap<String, u64> {
    crate::pipeline::queue::inspect(&desk.dir.path().join("queue.db")).unwrap().counters
}

/// Copy and truncate, as logrotate's copytruncate does: what was not read of the file before is read in its copy, and
/// nothing twice, whether the agent runs meanwhile or not.
#[test]
fn a_copy_goes_on_in_the_stead_of_a_file_that_was_cut_short() {
    let mut desk = Desk::sharing();
    let rotate = |desk: &Desk, turn: usize| {
        for number in (1..=turn).rev() {
            fs::rename(
                desk.path(&format!("application.log.{number}")),
                desk.path(&format!("application.log.{}", number + 1)),
            )
            .unwrap();
        }
        fs::copy(desk.path("application.log"), desk.path("application.log.1")).unwrap();
        OpenOptions::new().write(true).open(desk.path("application.log")).unwrap().set_len(0).unwrap();
    };
    let mut next = 100;
    for turn in 0..4 {
        desk.write("application.log", &numbered(next..next + 300));
        rotate(&desk, turn);
        desk.write("application.log", &numbered(next + 300..next + 310));
        assert_eq!(sorted(desk.take_bodies(310)), numbers(next..next + 310), "turn {turn}");
        next += 310;
    }
    desk.stop();
    desk.write("application.log", &numbered(next..next + 300));
    rotate(&desk, 4);
    desk.write("application.log", &numbered(next + 300..next + 310));
    desk.start();
    assert_eq!(sorted(desk.take_bodies(310)), numbers(next..next + 310));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// A copy that somebody makes is left alone, also when its original goes on, and when that is gone.
#[test]
fn a_copy_is_not_read() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &numbered(100..200));
    assert_eq!(desk.take_bodies(100), numbers(100..200));
    fs::copy(desk.path("application.log"), desk.path("application-copy.log")).unwrap();
    desk.wait_for_files(2);
    desk.write("application.log", &numbered(200..250));
    assert_eq!(desk.take_bodies(50), numbers(200..250));
    fs::remove_file(desk.path("application.log")).unwrap();
    desk.wait_for_files(1);
    desk.write("gw.log", &line("300"));
    assert_eq!(desk.take_bodies(1), ["300"]);
    assert_eq!(desk.take_until_marker("gw.log"), Vec::<String>::new());
    desk.stop();
}

/// Of a file and its copy that both were made while no agent ran, each line is read once, in whichever order they come.
#[test]
fn a_copy_of_what_was_never_read_is_not_read() {
    let mut desk = Desk::sharing();
    desk.wait_for_files(0);
    desk.stop();
    for file in 0..8 {
        desk.write(&format!("app{file}.log"), &numbered(file * 10..file * 10 + 10));
        fs::copy(desk.path(&format!("app{file}.log")), desk.path(&format!("app{file}.log.1"))).unwrap();
        desk.write(&format!("app{file}.log"), &numbered(80 + file..81 + file));
    }
    desk.start();
    assert_eq!(sorted(desk.take_bodies(88)), numbers(0..88));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// io.Connect moves the files of its last run to a folder of archives when it starts. What was not read of them before
/// is read there; what lies there otherwise is not.
#[test]
fn what_is_moved_to_the_archive_is_read_to_its_end() {
    let mut desk = Desk::sharing();
    fs::create_dir_all(desk.path("archive/2026-11-22")).unwrap();
    desk.write("archive/2026-11-22/application.log", &line("0"));
    desk.write("application.log", &numbered(100..110));
    assert_eq!(desk.take_bodies(10), numbers(100..110));
    desk.write("application.log", &numbered(110..120));
    fs::create_dir_all(desk.path("archive/2026-11-23")).unwrap();
    fs::rename(desk.path("application.log"), desk.path("archive/2026-11-23/application.log")).unwrap();
    assert_eq!(desk.take_bodies(10), numbers(110..120));

    desk.write("application.log", &numbered(120..130));
    assert_eq!(desk.take_bodies(10), numbers(120..130));
    desk.stop();
    desk.write("application.log", &numbered(130..140));
    fs::rename(desk.path("application.log"), desk.path("archive/application.log")).unwrap();
    desk.write("application.log", &numbered(140..150));
    desk.start();
    assert_eq!(sorted(desk.take_bodies(20)), numbers(130..150));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// The folder of logs is deleted and made again: its files are new ones.
#[test]
fn a_folder_that_is_deleted_and_made_again_is_followed() {
    let mut desk = Desk::sharing();
    for turn in 0..3 {
        desk.write("applications/clientlist.log", &numbered(turn * 10..turn * 10 + 10));
        assert_eq!(desk.take_bodies(10), numbers(turn * 10..turn * 10 + 10));
        fs::remove_dir_all(desk.path("applications")).unwrap();
        fs::create_dir(desk.path("applications")).unwrap();
    }
    desk.stop();
}

/// On Windows letter case does not count: a file that is renamed to another case stays itself.
#[test]
fn another_letter_case_makes_no_other_file() {
    let mut desk = Desk::sharing();
    desk.write("application.log", &numbered(100..110));
    let before = desk.take(10);
    fs::rename(desk.path("application.log"), desk.path("Application.LOG")).unwrap();
    desk.write("Application.LOG", &numbered(110..120));
    let after = desk.take(10);
    assert_eq!(after.iter().map(body).collect::<Vec<_>>(), numbers(110..120));
    assert_eq!(file_id(&before[0]), file_id(&after[0]));
    desk.stop();
}

/// A file that has several names, by links, is one file.
#[cfg(unix)]
#[test]
fn links_are_the_file_that_they_lead_to() {
    let mut desk = Desk::sharing();
    let elsewhere = desk.dir.path().join("elsewhere.log");
    std::os::unix::fs::symlink(&elsewhere, desk.path("dangling.log")).unwrap();
    std::os::unix::fs::symlink(desk.path("application.log"), desk.path("a-current.log")).unwrap();
    std::os::unix::fs::symlink(desk.path("application.log"), desk.path("z-current.log")).unwrap();
    desk.write("application.log", &numbered(100..110));
    fs::hard_link(desk.path("application.log"), desk.path("hard.log")).unwrap();
    assert_eq!(desk.take_bodies(10), numbers(100..110));
    append(&elsewhere, &numbered(200..210));
    assert_eq!(desk.take_bodies(10), numbers(200..210));
    assert_eq!(desk.take_until_marker("application.log"), Vec::<String>::new());
    desk.stop();
}

/// Two environments at once, and one that comes later.
#[test]
fn every_environment_is_followed() {
    let mut desk = Desk::sharing();
    let other = desk.dir.path().join("UserData/UAT-EMEA/logs");
    fs::create_dir_all(&other).unwrap();
    desk.write("application.log", &line("1"));
    append(&other.join("application.log"), &line("2"));
    let mut records = desk.take(2);
    records.sort_by_key(body);
    let regions: Vec<_> = records.iter().map(|record| attribute(record, "ioconnect.env_region").unwrap()).collect();
    assert_eq!(regions, ["DEMO-INTEROP.IO", "UAT-EMEA"]);
    desk.stop();
}
