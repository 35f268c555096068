use super::sim::Model;
use super::*;
use crate::FaultKind;
use crate::port::I2cPort;
use crate::sim::{I2cBus, I2cFaults, I2cPart, SharedPart};
use crate::tests::tree::problems;

const ADDRESS: u8 = 0x3C;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn settings(options: Options) -> Settings {
    let lines = options.lines.iter().map(|line| (Template::parse(line).unwrap(), Place::default())).collect();
    Settings { options, lines }
}

fn lines(lines: &[&str]) -> Options {
    Options { lines: lines.iter().map(|line| (*line).to_owned()).collect(), ..Options::default() }
}

/// A display on a bus, with its model.
struct Bench {
    bus: I2cBus,
    settings: Settings,
    driver: Box<dyn Actuator>,
}

impl Bench {
    fn new(options: Options) -> Self {
        let (bus, settings) = (I2cBus::new(), settings(options));
        bus.attach(ADDRESS, SharedPart::new(settings.simulate().unwrap()));
        let driver = open(&bus, &settings).unwrap();
        bus.record();
        Self { bus, settings, driver }
    }

    /// What was sent since the last call.
    fn sent(&self) -> Vec<String> {
        self.bus.recorded()
    }

    /// A model in place of the one before, as after a loss of power.
    fn power_anew(&self) -> SharedPart {
        let part = SharedPart::new(self.settings.simulate().unwrap());
        self.bus.attach(ADDRESS, part.clone());
        part
    }
}

fn open(bus: &I2cBus, settings: &Settings) -> Result<Box<dyn Actuator>, Fault> {
    settings.open(Wire::I2c(I2cPort(Box::new(bus.clone())), ADDRESS))
}

fn bytes(transfer: &str) -> Vec<u8> {
    let (_, bytes) = transfer.split_once(" W ").unwrap();
    bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The software initialization flow chart: MUX ratio A8h, 3Fh; display offset D3h, 00h; start line 40h; segment re-map
/// A0h/A1h; COM scan direction C0h/C8h; COM pins DAh; contrast 81h, 7Fh; entire display on A4h; normal display A6h;
/// oscillator D5h, 80h; charge pump 8Dh, 14h; display on AFh. The mode is page addressing, 20h 02h.
#[test]
fn is_set_up_as_the_flow_chart_has_it_and_turned_on_with_a_picture() {
    let mut bench = Bench::new(lines(&["Hello"]));
    let part = bench.power_anew();
    assert_eq!(bench.driver.apply(&text("")).unwrap(), text(""));
    let sent = bench.sent();
    assert_eq!(sent[0], "3c W 00 a8 3f d3 00 40 a1 c8 da 12 81 7f a4 a6 d5 80 8d 14 20 02");
    assert_eq!((sent[1].as_str(), sent[15].as_str()), ("3c W 00 b0 00 10", "3c W 00 b7 00 10"));
    assert_eq!(sent[17], "3c W 00 af");
    assert_eq!(sent.len(), 18);
    assert!(sent[2..17].iter().step_by(2).all(|sent| bytes(sent)[0] == 0x40 && bytes(sent).len() == 129));
    assert_eq!(part.lock().texts(), ["Hello"]);

    let low = Options { size: Size::X32, contrast: 0xFF, upside_down: true, ..lines(&["Hi"]) };
    let mut bench = Bench::new(low);
    bench.driver.apply(&text("")).unwrap();
    let sent = bench.sent();
    assert_eq!(sent[0], "3c W 00 a8 1f d3 00 40 a0 c0 da 02 81 ff a4 a6 d5 80 8d 14 20 02");
    assert_eq!(sent.len(), 10, "four pages");
}

/// The bitmaps of X11's misc-fixed fonts, as 6x10.bdf and 10x20.bdf have them: rows, the first pixel in the highest bit.
#[test]
fn characters_are_those_of_the_published_fonts() {
    let glyph = |font: Font, character: char| {
        let (width, height) = font.size();
        let row = |y| (0..width).filter(|x| font.pixel(character, *x, y)).fold(0, |row, x| row | 0x8000_u16 >> x);
        (0..height).map(row).collect::<Vec<_>>()
    };
    let of_bytes = |rows: [u8; 10]| rows.map(|row| u16::from(row) << 8).to_vec();
    assert_eq!(glyph(Font::Medium, 'A'), of_bytes([0x00, 0x20, 0x50, 0x88, 0x88, 0xF8, 0x88, 0x88, 0x00, 0x00]));
    assert_eq!(glyph(Font::Medium, '°'), of_bytes([0x00, 0x20, 0x50, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]));
    let large = [
        0x0000, 0x0000, 0x0000, 0x0C00, 0x1E00, 0x3300, 0x3300, 0x6180, 0x6180, 0x6180, 0x7F80, 0x6180, 0x6180, 0x6180,
        0x6180, 0x6180, 0x0000, 0x0000, 0x0000, 0x0000,
    ];
    assert_eq!(glyph(Font::Large, 'A'), large);
    assert_eq!(glyph(Font::Medium, '€'), glyph(Font::Medium, '?'), "not in the font");
    assert_eq!([Font::Small, Font::Medium, Font::Large].map(|font| font.fits(64)), [(25, 8), (21, 6), (12, 3)]);
    assert_eq!([Font::Small, Font::Medium, Font::Large].map(|font| font.fits(32)), [(25, 4), (21, 3), (12, 1)]);
}

/// An `A` at the second place of the first line: columns 6 to 11 of pages 0 and 1, the highest row in the lowest bit.
#[test]
fn a_byte_is_a_column_of_eight_rows() {
    let frame = Frame::of(&[" A"], Font::Medium, 64);
    assert_eq!(frame.pages()[0][6..12], [0xF8, 0x24, 0x22, 0x24, 0xF8, 0x00]);
    assert!(frame.pages()[1].iter().all(|byte| *byte == 0));
    let below = Frame::of(&["", "A"], Font::Medium, 64);
    // Ten rows further down: from row 11 to 17.
    assert_eq!((below.pages()[1][0], below.pages()[2][0]), (0xE0, 0x03));
}

/// Section 10.1.3, page addressing: B2h, 03h, 10h is column 3 of page 2; at the end it goes on in the same page.
#[test]
fn the_model_has_page_addressing() {
    let mut model = Model::new(Size::X64, Font::Medium);
    model.write(&[0x00, 0xB2, 0x03, 0x10]).unwrap();
    assert_eq!(model.pointer(), (2, 3));
    model.write(&[0x40, 0x77]).unwrap();
    assert_eq!((model.byte(2, 3), model.pointer()), (0x77, (2, 4)));
    model.write(&[0x00, 0x0F, 0x17, 0x40]).unwrap();
    model.write(&[0x40, 0x01, 0x02]).unwrap();
    assert_eq!((model.byte(2, 127), model.byte(2, 0), model.pointer()), (1, 2, (2, 1)));
    // A command and its data in one transfer, each with its control byte.
    model.write(&[0x80, 0xB5, 0x80, 0x00, 0x80, 0x10, 0xC0, 0x11, 0x40, 0x22, 0x33]).unwrap();
    assert_eq!([0, 1, 2].map(|segment| model.byte(5, segment)), [0x11, 0x22, 0x33]);
    assert!(model.wrong().is_empty());
    model.write(&[0x00, 0xFF]).unwrap();
    assert_eq!(model.wrong(), [0xFF]);
}

/// Section 10.1.5, figure 10-5: columns 2 to 125 of pages 1 to 6; and the same the other way (section 10.1.3).
#[test]
fn the_model_has_the_other_addressing_modes() {
    let mut model = Model::new(Size::X64, Font::Medium);
    model.write(&[0x00, 0x20, 0x00, 0x21, 2, 125, 0x22, 1, 6]).unwrap();
    assert_eq!(model.pointer(), (1, 2));
    model.write(&[&[0x40][..], &[0xEE; 124]].concat()).unwrap();
    assert_eq!(model.pointer(), (2, 2));
    model.write(&[&[0x40][..], &[0xEE; 124 * 5]].concat()).unwrap();
    assert_eq!(model.pointer(), (1, 2), "it begins again");
    model.write(&[0x00, 0x20, 0x01, 0x21, 2, 125, 0x22, 1, 6]).unwrap();
    model.write(&[0x40, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    assert_eq!((model.byte(6, 2), model.byte(1, 3), model.pointer()), (6, 7, (2, 3)));
}

/// The model's lines are read off its panel, as by the eye.
#[test]
fn shows_lines_with_values_and_sends_only_what_changed() {
    let mut bench = Bench::new(lines(&["{climate.temperature:.1} °C", "pump {pump}", "", "fixed"]));
    let part = bench.power_anew();
    let shown = || part.lock().texts();
    bench.driver.apply(&text("")).unwrap();
    assert_eq!(shown(), ["-- °C", "pump --", "", "fixed"]);
    bench.sent();
    bench.driver.see(&[Some(Value::Number(21.46)), Some(text("ON"))]);
    assert_eq!(bench.driver.next(), Some(Duration::from_secs(1)));
    assert_eq!(bench.driver.advance().unwrap(), None);
    assert_eq!(shown(), ["21.5 °C", "pump ON", "", "fixed"]);
    let changed = bench.sent();
    assert!(changed.iter().map(|sent| bytes(sent).len()).sum::<usize>() < 150, "{changed:?}");

    bench.driver.see(&[Some(Value::Number(21.58)), Some(text("ON"))]);
    bench.driver.advance().unwrap();
    assert_eq!(shown()[0], "21.6 °C");
    let changed: Vec<_> = bench.sent().iter().map(|sent| bytes(sent)).collect();
    // The fourth character: columns 18 to 22, of page 0 only, and of these what differs between a 5 and a 6.
    assert_eq!(changed[0], [0x00, 0xB0, 0x02, 0x11]);
    assert!(changed.len() == 2 && changed[1].len() <= 6, "{changed:02x?}");

    bench.driver.advance().unwrap();
    assert_eq!(bench.sent(), ["3c W 00 e3"], "nothing but a look whether it is there");
    bench.driver.see(&[None, Some(text("a state that is too long for it"))]);
    bench.driver.advance().unwrap();
    assert_eq!(shown()[..2], ["-- °C", "pump a state that is "].map(|line| line.trim_end().to_owned()));
    bench.driver.see(&[None, Some(text("\u{20AC}"))]);
    bench.driver.advance().unwrap();
    assert_eq!(shown()[1], "pump ?");
}

#[test]
fn a_message_takes_the_place_of_the_lines_until_it_is_empty() {
    let mut bench = Bench::new(lines(&["line"]));
    let part = bench.power_anew();
    let shown = || part.lock().texts();
    assert_eq!(bench.driver.read().unwrap(), None, "nothing was told yet");
    bench.driver.apply(&text("")).unwrap();
    assert_eq!(
        bench.driver.apply(&text("The pump runs dry, and stands")).unwrap(),
        text("The pump runs dry, and stands")
    );
    assert_eq!(shown(), ["The pump runs dry,", "and stands"]);
    assert_eq!(bench.driver.read().unwrap(), Some(text("The pump runs dry, and stands")));
    bench.driver.apply_at_once(&text("")).unwrap();
    assert_eq!(shown(), ["line"]);
    let longest = "x".repeat(126);
    bench.driver.apply(&text(&longest)).unwrap();
    assert_eq!(shown(), vec!["x".repeat(21); 6]);
}

#[test]
fn breaks_between_words_where_they_fit() {
    assert_eq!(wrap("one two three", 7, 2), ["one two", "three"]);
    assert_eq!(wrap("one two three", 8, 2), ["one two", "three"]);
    // Between words these would be three lines.
    assert_eq!(wrap("aaaa bbbb cccc", 8, 2), ["aaaa bbb", "b cccc"]);
    assert_eq!(wrap("abcdefghij", 4, 3), ["abcd", "efgh", "ij"]);
    assert_eq!(wrap(" a  b", 8, 1), [" a  b"]);
    assert_eq!(wrap("°°°° °°°", 4, 2), ["°°°°", "°°°"]);
}

#[test]
fn is_dark_when_nobody_keeps_it_up_to_date() {
    let mut bench = Bench::new(lines(&["line"]));
    let part = bench.power_anew();
    let control = bench.settings.control();
    bench.driver.apply(&text("")).unwrap();
    bench.sent();
    assert_eq!(bench.driver.apply_at_once(&control.left(&control.off())).unwrap(), text(""));
    assert_eq!(bench.sent(), ["3c W 00 ae"]);
    assert!(part.lock().texts().is_empty());
    assert_eq!((bench.driver.next(), bench.driver.advance().unwrap()), (None, None));
    assert!(bench.sent().is_empty(), "and stays so");
    // A text that was meant for the end is shown on.
    bench.driver.apply_at_once(&control.left(&text("stopped"))).unwrap();
    assert_eq!(part.lock().texts(), ["stopped"]);
}

#[test]
fn is_set_up_and_drawn_again_when_it_comes_back() {
    let mut bench = Bench::new(lines(&["line"]));
    bench.driver.apply(&text("")).unwrap();
    let absent = I2cFaults { absent: true, ..I2cFaults::default() };
    bench.bus.set_faults(ADDRESS, absent);
    let fault = bench.driver.advance().unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Absent, "looking for the display: no acknowledge"));
    assert_eq!(bench.driver.read().unwrap_err().kind, FaultKind::Absent);
    assert_eq!(open(&bench.bus, &bench.settings).err().unwrap().kind, FaultKind::Absent);
    bench.bus.set_faults(ADDRESS, I2cFaults { timeout: true, ..I2cFaults::default() });
    assert_eq!(bench.driver.advance().unwrap_err().kind, FaultKind::Bus);
    bench.bus.set_faults(ADDRESS, I2cFaults::default());
    let part = bench.power_anew();
    assert!(part.lock().texts().is_empty());
    bench.driver.advance().unwrap();
    assert_eq!(part.lock().texts(), ["line"]);
}

/// Whoever was without power for a moment between two looks shows nothing, and says nothing of it.
#[test]
fn all_is_sent_again_once_a_minute() {
    let mut bench = Bench::new(lines(&["line"]));
    bench.driver.apply(&text("")).unwrap();
    bench.sent();
    let part = bench.power_anew();
    for step in 1..60 {
        bench.driver.advance().unwrap();
        assert_eq!(bench.sent(), ["3c W 00 e3"], "{step}");
    }
    bench.driver.advance().unwrap();
    assert_eq!(part.lock().texts(), ["line"]);
    assert!(!bench.sent().contains(&"3c W 00 ae".to_owned()), "it does not flicker");
}

#[test]
fn upside_down_is_the_same_from_the_other_side() {
    let shines = |upside_down: bool, size: Size| {
        let settings = settings(Options { upside_down, size, ..lines(&["Ag", "x"]) });
        let mut model = Model::new(size, Font::Medium);
        model.write(&[&[COMMANDS][..], &settings.settings(), &[ON]].concat()).unwrap();
        let frame = settings.picture("", &[]);
        for (page, bytes) in (0_u8..).zip(frame.pages()) {
            model.write(&[COMMANDS, PAGE_START | page, 0x00, 0x10]).unwrap();
            model.write(&[&[DATA][..], bytes].concat()).unwrap();
        }
        let all = (0..size.height()).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
        all.map(|(x, y)| model.shines(x, y)).collect::<Vec<_>>()
    };
    for size in [Size::X64, Size::X32] {
        let (upright, mut turned) = (shines(false, size), shines(true, size));
        assert!(upright.iter().any(|shines| *shines));
        turned.reverse();
        assert!(upright == turned, "{size:?}");
    }
}

#[test]
fn refuses_what_it_cannot_show() {
    let mut bench = Bench::new(lines(&[]));
    let long = "x".repeat(127);
    for value in [text(&long), text("a\nb"), text("€"), Value::Number(1.0), Value::Switch(true)] {
        assert_eq!(bench.driver.apply(&value).unwrap_err().kind, FaultKind::Rejected, "{value}");
    }
    assert!(bench.sent().is_empty());
}

#[test]
fn names_what_it_shows() {
    let settings = settings(lines(&["{climate.temperature:.1} {pump}", "{door}"]));
    let shows: Vec<_> =
        settings.shows().into_iter().map(|shown| (shown.entity, shown.value, shown.is_number)).collect();
    let named = |entity: &str, value: Option<&str>, is_number| (entity.to_owned(), value.map(str::to_owned), is_number);
    assert_eq!(
        shows,
        [named("climate", Some("temperature"), true), named("pump", None, false), named("door", None, false)]
    );
}

#[test]
fn wrong_options_are_refused() {
    let of = |yaml: &str| problems(&DRIVER, yaml).join("; ");
    assert_eq!(of("{ size: 128x32, lines: [a, b, c], refresh: 100ms, contrast: 255 }"), "");
    assert_eq!(of("{ size: 128x32, lines: [a, b, c, d] }"), "`lines` has 4 entries: on this display 3 fit");
    assert_eq!(of("{ refresh: 99ms }"), "`refresh` must be from 100ms to 1h, not `99ms`");
    assert_eq!(of("{ lines: ['123456789012345678901'] }"), "");
    assert_eq!(of("{ lines: ['12345678901234567890{a}1'] }"), "an entry of `lines` has at least 22 characters: 21 fit");
    assert_eq!(of("{ lines: ['{a'] }"), "an entry of `lines`: a `{` without its `}`; for one to be shown, write `{{`");
}
