//! Says all that the SDK tells a program; the tests run it as a process.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (task, tasks, run) = (
        stint_sdk::task_index(),
        stint_sdk::task_count(),
        stint_sdk::try_number(),
    );
    let words = std::fs::read_to_string(stint_sdk::input("words")?)?;
    stint_sdk::result(format!("[{task}, {tasks}, {run}, {:?}]", words.trim()))?;
    Ok(())
}
