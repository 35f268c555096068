//! Configurations: what right ones mean, and what is said of wrong ones.

use halyard::config::parse;

/// Files of `tests/config/NAME`: their names, texts, and what follows `=> ` in the lines after each.
fn table(text: &'static str) -> Vec<(&'static str, String, Vec<&'static str>)> {
    let mut files: Vec<(&str, String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            files.push((name, String::new(), Vec::new()));
        } else if let Some((_, text, report)) = files.last_mut() {
            match line.strip_prefix("=> ") {
                Some(line) => report.push(line),
                None if report.is_empty() => text.extend([line, "\n"]),
                None => assert!(line.is_empty(), "{line}: text after the report"),
            }
        }
    }
    files
}

#[test]
fn wrong_files() {
    let files = table(include_str!("config/wrong.txt"));
    assert!(files.len() >= 40);
    let mut wrong = 0;
    for (name, text, expected) in files {
        let report = match parse(&text, "f") {
            Ok(_) => "fine".to_owned(),
            Err(report) => report.to_string(),
        };
        let lines: Vec<&str> = report.lines().map(|line| line.strip_prefix("f:").unwrap_or(line)).collect();
        if lines != expected {
            wrong += 1;
            println!("== {name}\n{text}");
            lines.iter().for_each(|line| println!("=> {line}"));
            println!();
        }
    }
    assert_eq!(wrong, 0, "reports are other than expected; they are printed above");
}

#[test]
fn the_example_is_right() {
    let text = include_str!("../config.yaml");
    let config = parse(text, "config.yaml").unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((config.sensors.len(), config.actuators.len()), (5, 2));
}

#[test]
fn show() {
    use std::io::stdout;
    halyard::cli::drivers::run(None, false, &mut stdout(), &mut stdout()).unwrap();
    for d in halyard_drivers::DRIVERS {
        halyard::cli::drivers::run(Some(d.name), false, &mut stdout(), &mut stdout()).unwrap();
    }
    std::fs::write("/tmp/schema.json", halyard::cli::schema::text()).unwrap();
}
