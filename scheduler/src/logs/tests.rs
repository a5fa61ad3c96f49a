//! Logs: what is said twice is kept once, what is cut is gone on with.

use super::*;

fn chunk(task: TaskIndex, stream: Stream, offset: u64, data: &[u8]) -> Chunk {
    Chunk {
        attempt: format!("default.1.t{task}.g1.1").parse().unwrap(),
        stream,
        offset,
        data: data.to_vec(),
    }
}

fn job() -> JobId {
    "default.1".parse().unwrap()
}

fn logs(directory: &Path) -> Logs {
    Logs::open(directory, Arc::new(Metrics::new())).unwrap()
}

fn texts(piece: &Piece) -> Vec<String> {
    let text = |chunk: &Chunk| String::from_utf8(chunk.data.clone()).unwrap();
    piece.chunks.iter().map(|(_, chunk)| text(chunk)).collect()
}

#[test]
fn what_a_node_says_twice_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    let logs = logs(directory.path());
    logs.append(&[chunk(0, Stream::Stdout, 0, b"one ")])
        .unwrap();
    logs.append(&[
        chunk(0, Stream::Stdout, 0, b"one "),
        chunk(0, Stream::Stdout, 2, b"e two"),
    ])
    .unwrap();
    let piece = logs.read(&job(), 0, Choice::default()).unwrap();
    assert_eq!(texts(&piece), ["one ", "two"]);
    assert_eq!(piece.chunks[1].1.offset, 4);
}

#[test]
fn a_reader_goes_on_where_it_was_and_takes_what_it_chose() {
    let directory = tempfile::tempdir().unwrap();
    logs(directory.path())
        .append(&[
            chunk(0, Stream::Stdout, 0, b"a"),
            chunk(1, Stream::Stdout, 0, b"b"),
            chunk(5_000, Stream::Stderr, 0, b"c"),
        ])
        .unwrap();
    // The next process reads what this one wrote.
    let logs = logs(directory.path());
    let piece = logs.read(&job(), 1, Choice::default()).unwrap();
    assert_eq!(texts(&piece), ["b", "c"]);
    assert!(!piece.at_end);
    assert!(
        logs.read(&job(), piece.next, Choice::default())
            .unwrap()
            .at_end
    );
    let stderr = Choice {
        stream: Some(Stream::Stderr),
        task: None,
    };
    assert_eq!(texts(&logs.read(&job(), 0, stderr).unwrap()), ["c"]);
    let other = "default.2".parse().unwrap();
    assert!(logs.read(&other, 0, Choice::default()).unwrap().at_end);
    assert!(
        logs.read(&job(), u64::MAX, Choice::default())
            .unwrap()
            .at_end
    );
}

#[test]
fn a_stream_ends_at_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let logs = logs(directory.path());
    let at = LOG_STREAM_BYTES_MAX - 2;
    logs.append(&[chunk(0, Stream::Stdout, at, b"abcd")])
        .unwrap();
    logs.append(&[chunk(0, Stream::Stdout, at + 4, b"ef")])
        .unwrap();
    logs.append(&[chunk(0, Stream::Stdout, u64::MAX, b"g")])
        .unwrap();
    assert_eq!(
        texts(&logs.read(&job(), 0, Choice::default()).unwrap()),
        ["ab"]
    );
}

#[test]
fn what_a_crash_left_half_written_is_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let logs = logs(directory.path());
    logs.append(&[chunk(0, Stream::Stdout, 0, b"a")]).unwrap();
    let index = OpenOptions::new()
        .append(true)
        .open(logs.index_path(&job()))
        .unwrap();
    std::io::Write::write_all(&mut &index, b"half").unwrap();
    logs.append(&[chunk(0, Stream::Stdout, 1, b"b")]).unwrap();
    assert_eq!(
        texts(&logs.read(&job(), 0, Choice::default()).unwrap()),
        ["a", "b"]
    );
}
