//! A page taken apart: prose, and steps, each a command with what it answers.

/// How a block of commands begins, and any block ends.
const OPENS: &str = "```console";
const CLOSES: &str = "```";
/// Before a command.
const PROMPT: &str = "$ ";
/// How a command takes lines as its input, up to the line `EOF`.
const TAKES_LINES: &str = "<<'EOF'";

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Lines that nobody runs, with their ends.
    Prose(String),
    Step(Step),
}

/// A command, and what the page says that it answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) answer: String,
}

/// Takes a page apart.
pub(crate) fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut prose, mut step) = (String::new(), None::<Step>);
    let mut lines = page.lines();
    let mut inside = false;
    while let Some(line) = lines.next() {
        let command = line.strip_prefix(PROMPT).filter(|_| inside);
        if let Some(command) = command {
            end(&mut parts, &mut prose, &mut step);
            let mut command = command.to_owned();
            let ends = |command: &str| match command.contains(TAKES_LINES) {
                true => command.ends_with("\nEOF"),
                false => !command.ends_with('\\'),
            };
            while !ends(&command) {
                let more = lines.next().expect("a command has an end");
                command = format!("{command}\n{more}");
            }
            step = Some(Step {
                command,
                answer: String::new(),
            });
            continue;
        }
        inside = match line {
            OPENS => true,
            CLOSES => false,
            _ => inside,
        };
        match &mut step {
            Some(step) if inside => {
                step.answer.push_str(line);
                step.answer.push('\n');
            }
            _ => {
                end(&mut parts, &mut prose, &mut step);
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    end(&mut parts, &mut prose, &mut step);
    parts
}

fn end(parts: &mut Vec<Part>, prose: &mut String, step: &mut Option<Step>) {
    if !prose.is_empty() {
        parts.push(Part::Prose(std::mem::take(prose)));
    }
    parts.extend(step.take().map(Part::Step));
}

/// A part as it stands on its page.
pub(crate) fn text(part: &Part) -> String {
    match part {
        Part::Prose(text) => text.clone(),
        Part::Step(Step { command, answer }) => format!("{PROMPT}{command}\n{answer}"),
    }
}

#[test]
fn a_page_is_what_its_parts_are() {
    let page = "# A\n\n```console\n$ cat > a <<'EOF'\nx\n$ y\nEOF\n$ b \\\n    c\nd\ne\n```\n\n```sh\n$ f\n```\n";
    let parts = parts(page);
    assert_eq!(parts.iter().map(text).collect::<String>(), page);
    let steps = parts.iter().filter(|part| matches!(part, Part::Step(_)));
    assert_eq!(steps.count(), 2);
    let second = Step {
        command: "b \\\n    c".to_owned(),
        answer: "d\ne\n".to_owned(),
    };
    assert!(parts.contains(&Part::Step(second)));
}
