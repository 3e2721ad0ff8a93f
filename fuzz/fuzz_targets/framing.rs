//! For any bytes, read in any steps: each byte is in one record or is skipped between two records,
//! and the steps do not change the records.
#![no_main]

use insights_agent::sources::logs::framing::{End, Framer, is_in_line};
use insights_agent::sources::logs::layout::Layout;
use libfuzzer_sys::fuzz_target;

/// Start, end, and marks of every record.
type Framed = Vec<(usize, usize, [bool; 2])>;

fn read(layout: &Layout, file: &[u8], steps: &[usize]) -> (Framed, usize) {
    let (mut all, mut position, mut seen_header) = (Vec::new(), 0, false);
    for (step, &written) in steps.iter().chain([&file.len()]).enumerate() {
        let end = if step == steps.len() { End::Closed } else { End::MoreMayCome };
        let in_line = position > 0 && is_in_line(file[position - 1]);
        let mut framer = Framer::new(&file[position..written.max(position)], layout, seen_header, in_line, end);
        while let Some(record) = framer.next() {
            all.push((position + record.start, position + framer.position(), [record.cut, record.continuation]));
        }
        position += framer.position();
        seen_header = framer.seen_header();
    }
    (all, position)
}

fuzz_target!(|input: (Vec<u8>, Vec<u16>)| {
    let (file, mut steps) = input;
    steps.truncate(8);
    let mut steps: Vec<usize> = steps.iter().map(|step| usize::from(*step) % (file.len() + 1)).collect();
    steps.sort_unstable();
    let layout = Layout::for_file("application.log", &[]);
    let (records, position) = read(&layout, &file, &[]);
    assert_eq!(position, file.len());
    let mut taken = 0;
    for (start, end, _) in &records {
        assert!(file[taken..*start].iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')));
        taken = *end;
    }
    assert_eq!(read(&layout, &file, &steps).0, records);
});
