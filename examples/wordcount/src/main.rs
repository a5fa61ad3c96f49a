//! Counts words as two jobs. `wordcount map PARTS`: each task counts its share of the texts in
//! `/in/texts`, and leaves a file for each part. `wordcount reduce`: task R adds up part R of
//! all that the tasks of the first job left, which is its input `/in/counts`.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use stint_sdk::{input, output, progress, task_count, task_index};
use wordcount::Counts;

/// Words that a task of the second job returns.
const TOP: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["map", parts] => map(parts.parse()?),
        ["reduce"] => reduce(),
        _ => Err("usage: wordcount map PARTS | wordcount reduce".into()),
    }
}

fn map(parts: u32) -> Result<(), Box<dyn Error>> {
    let texts = files(&input("texts")?)?;
    let (first, step) = (task_index() as usize, task_count() as usize);
    let mine: Vec<&PathBuf> = texts.iter().skip(first).step_by(step).collect();
    let mut counts = Counts::default();
    for (done, text) in (1..).zip(&mine) {
        counts.add_text(&fs::read_to_string(text)?);
        progress(f64::from(done) / mine.len() as f64, &text.to_string_lossy());
    }
    for part in 0..parts {
        let mut file = BufWriter::new(File::create(output(&format!("part-{part}")))?);
        counts.write_part(part, parts, &mut file)?;
        file.flush()?;
    }
    println!("{} words in {} texts", counts.all(), mine.len());
    stint_sdk::result(format!(
        r#"{{"texts": {}, "words": {}}}"#,
        mine.len(),
        counts.all()
    ))?;
    Ok(())
}

fn reduce() -> Result<(), Box<dyn Error>> {
    let part = format!("part-{}", task_index());
    let mut counts = Counts::default();
    for task in files(&input("counts")?)? {
        counts.add_part(BufReader::new(File::open(task.join(&part))?))?;
    }
    let mut file = BufWriter::new(File::create(output("words.tsv"))?);
    counts.write_part(0, 1, &mut file)?;
    file.flush()?;
    let top = counts.top(TOP);
    for (word, times) in &top {
        println!("{times:>8} {word}");
    }
    // Words are letters: nothing to escape.
    let top: Vec<String> = top
        .iter()
        .map(|(word, times)| format!(r#""{word}": {times}"#))
        .collect();
    stint_sdk::result(format!(
        r#"{{"different": {}, "words": {}, "top": {{{}}}}}"#,
        counts.different(),
        counts.all(),
        top.join(", ")
    ))?;
    Ok(())
}

/// What is in a directory, in the same order for every task.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut files: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}
