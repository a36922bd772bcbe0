//! The lines of the screen.

use std::cmp::Ordering;

use super::rates::{Rate, Rates};
use super::snapshot::{Node, Room, Snapshot};
use super::terminal::Size;
use super::view::{Order, View};
use crate::admin::output::{Paint, grouped, harmless};
use crate::admin::table::{Column, Table, cut};

/// What is shown now: at most as many lines as fit, none wider than the terminal.
pub(super) fn lines(view: &View, rates: &Rates, size: Size) -> Vec<String> {
    let Some(snapshot) = rates.snapshot() else {
        return Vec::new();
    };
    let mut lines = vec![bold(&head(view, snapshot), size)];
    lines.extend(
        summary(snapshot, rates)
            .iter()
            .map(|line| cut(line, size.columns)),
    );
    if snapshot.nodes.len() > 1 {
        lines.push(String::new());
        lines.extend(nodes(&snapshot.nodes, size));
    }
    lines.push(String::new());
    // One for the headings, one for the foot.
    let left = size.rows.saturating_sub(lines.len() + 2);
    lines.extend(rooms(view, snapshot, &rates.rooms(), left, size));
    lines.resize(size.rows.saturating_sub(1).max(lines.len()), String::new());
    lines.truncate(size.rows.saturating_sub(1));
    lines.push(cut(&foot(view), size.columns));
    lines
}

fn bold(text: &str, size: Size) -> String {
    Paint::of_stdout().style("1", &cut(text, size.columns))
}

fn head(view: &View, snapshot: &Snapshot) -> String {
    let mut head = format!("nuncio top  {}", view.base);
    if let [node] = &*snapshot.nodes {
        head += &format!("  {}  up {}", node.version, uptime(node.uptime));
        if !node.ready {
            head += "  SHUTTING DOWN";
        }
    } else {
        head += &format!("  {} nodes", snapshot.nodes.len());
    }
    if view.is_paused() {
        head += "  PAUSED";
    }
    if let Some(trouble) = &view.trouble {
        head += &format!("  {}", harmless(trouble));
    }
    head
}

fn summary(snapshot: &Snapshot, rates: &Rates) -> [String; 6] {
    let total = |of: fn(&Node) -> u64| grouped(snapshot.nodes.iter().map(of).sum());
    let count = |of: fn(&Node) -> u64| snapshot.nodes.iter().map(of).sum::<u64>();
    let memory = bytes(count(|node| node.memory) as f64);
    [
        format!(
            "Connections {}   sessions {}{}   parked {}   users {}   rooms {}",
            total(|node| node.connections),
            total(|node| node.sessions),
            transports(snapshot),
            total(|node| node.parked),
            total(|node| node.users),
            total(|node| node.rooms),
        ),
        format!(
            "In   {:>10} messages/s  {:>10}/s",
            rate(rates.of(|counters| counters.messages_in)),
            byte_rate(rates.of(|counters| counters.bytes_in)),
        ),
        format!(
            "Out  {:>10} messages/s  {:>10}/s",
            rate(rates.of(|counters| counters.messages_out)),
            byte_rate(rates.of(|counters| counters.bytes_out)),
        ),
        format!(
            "Publications {}/s   commits {}/s (failed {})   API {}/s (refused {})",
            rate(rates.of(|counters| counters.publications)),
            rate(rates.of(|counters| counters.committed)),
            total(|node| node.counters.commits_failed),
            rate(rates.of(|counters| counters.api_requests)),
            total(|node| node.counters.api_refusals),
        ),
        format!(
            "Slow consumers closed {}   handshakes refused {}   memory {memory}",
            total(|node| node.counters.slow_consumers),
            total(|node| node.counters.handshakes_refused),
        ),
        format!("Messages refused {}", refused(snapshot)),
    ]
}

fn transports(snapshot: &Snapshot) -> String {
    let named = sums(snapshot.nodes.iter().flat_map(|node| &node.transports));
    if named.is_empty() {
        return String::new();
    }
    format!(" ({})", named.join(", "))
}

fn refused(snapshot: &Snapshot) -> String {
    let refused = snapshot
        .nodes
        .iter()
        .flat_map(|node| &node.counters.refused);
    let named = sums(refused);
    if named.is_empty() {
        return "0".to_owned();
    }
    named.join(", ")
}

/// Each name with its sum over all nodes; those with none are left out.
fn sums<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> Vec<String> {
    let mut sums = std::collections::BTreeMap::new();
    for (name, count) in counts {
        *sums.entry(name).or_insert(0) += count;
    }
    let sums = sums.into_iter().filter(|(_, sum)| *sum > 0);
    sums.map(|(name, sum)| format!("{} {}", harmless(name), grouped(sum)))
        .collect()
}

const NODE_COLUMNS: &[Column] = &[
    Column::right("NODE"),
    Column::left("VERSION"),
    Column::right("UP"),
    Column::right("CONNECTIONS"),
    Column::right("SESSIONS"),
    Column::right("MEMORY"),
];

fn nodes(nodes: &[Node], size: Size) -> Vec<String> {
    let mut table = Table::new(NODE_COLUMNS);
    for (number, node) in (1..).zip(nodes) {
        table.push([
            grouped(number),
            node.version.clone(),
            uptime(node.uptime),
            grouped(node.connections),
            grouped(node.sessions),
            bytes(node.memory as f64),
        ]);
    }
    rendered(&table, size)
}

const ROOM_COLUMNS: &[Column] = &[
    Column::left("ROOM"),
    Column::right("USERS"),
    Column::right("SESSIONS"),
    Column::right("MESSAGES"),
    Column::right("A SECOND"),
];

fn rooms(view: &View, snapshot: &Snapshot, rates: &[Rate], max: usize, size: Size) -> Vec<String> {
    let rooms = snapshot.rooms.iter().zip(rates.iter().copied());
    let mut shown: Vec<_> = rooms.filter(|(room, _)| view.shows(&room.name())).collect();
    shown.sort_by(|one, other| compare(view.order, *one, *other));
    let mut table = Table::new(ROOM_COLUMNS);
    for (room, per_second) in shown.into_iter().take(max) {
        table.push([
            room.name(),
            grouped(room.users),
            grouped(room.sessions),
            grouped(room.seq),
            rate(per_second),
        ]);
    }
    rendered(&table, size)
}

fn compare(order: Order, one: (&Room, Rate), other: (&Room, Rate)) -> Ordering {
    let by = |of: fn(&Room) -> u64| of(other.0).cmp(&of(one.0));
    let first = match order {
        Order::Rate => other.1.unwrap_or(0.0).total_cmp(&one.1.unwrap_or(0.0)),
        Order::Users => by(|room| room.users),
        Order::Sessions => by(|room| room.sessions),
        Order::Messages => by(|room| room.seq),
        Order::Name => Ordering::Equal,
    };
    let names = || one.0.name().cmp(&other.0.name());
    let largest = || match order {
        Order::Name => Ordering::Equal,
        Order::Rate | Order::Users | Order::Sessions | Order::Messages => by(|room| room.sessions),
    };
    first.then_with(largest).then_with(names)
}

fn rendered(table: &Table, size: Size) -> Vec<String> {
    let text = table.render(Some(size.columns), Paint::of_stdout());
    text.lines().map(str::to_owned).collect()
}

fn foot(view: &View) -> String {
    if view.is_typing_filter() {
        return format!("Filter: {}_", harmless(&view.filter));
    }
    let filter = if view.filter.is_empty() {
        String::new()
    } else {
        format!(" ({})", harmless(&view.filter))
    };
    let interval = view.interval();
    format!(
        "q end   s sort: {}   / filter{filter}   p pause   + - every {interval:?}",
        view.order.as_str()
    )
}

/// Days only where there are some.
fn uptime(millis: u64) -> String {
    let seconds = millis / 1000;
    let time = crate::date::time_of_day(seconds);
    match seconds / 86_400 {
        0 => time,
        days => format!("{days}d {time}"),
    }
}

fn rate(per_second: Rate) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate >= 100.0 || rate == 0.0 => grouped(rate.round() as u64),
        Some(rate) => format!("{rate:.1}"),
    }
}

fn byte_rate(per_second: Rate) -> String {
    per_second.map_or_else(|| "-".to_owned(), bytes)
}

fn bytes(number: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (number, 0);
    while number >= 1024.0 && unit < UNITS.len() - 1 {
        number /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{number:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn room(name: &str, users: u64, seq: u64) -> Room {
        Room {
            ns: "/".to_owned(),
            room_id: name.to_owned(),
            sessions: users,
            users,
            epoch: "e".to_owned(),
            seq,
        }
    }

    fn rates() -> Rates {
        let node = Node {
            version: "1.2.3".to_owned(),
            ready: true,
            uptime: 90_061_000,
            connections: 1234,
            sessions: 1200,
            memory: 5 * 1024 * 1024,
            transports: [("websocket".to_owned(), 1200)].into(),
            ..Node::default()
        };
        let snapshot = |rooms| Snapshot {
            nodes: vec![node.clone()],
            rooms,
        };
        let (mut rates, start) = (Rates::default(), Instant::now());
        rates.observe(
            snapshot(vec![room("big", 900, 1), room("busy", 2, 0)]),
            start,
        );
        rates.observe(
            snapshot(vec![room("big", 900, 1), room("busy", 2, 500)]),
            start + Duration::from_secs(1),
        );
        rates
    }

    fn screen(order: Order, columns: usize, rows: usize) -> Vec<String> {
        let view = View::new("http://a".to_owned(), order, Duration::from_secs(1));
        lines(&view, &rates(), Size { columns, rows })
    }

    #[test]
    fn the_screen_is_filled_and_never_more() {
        for (columns, rows) in [(80, 24), (120, 40), (20, 5), (40, 1), (1, 1)] {
            let lines = screen(Order::Rate, columns, rows);

            assert_eq!(lines.len(), rows, "{columns}x{rows}");
            if columns >= 40 {
                let wide = lines.iter().find(|line| line.width() > columns);
                assert_eq!(wide, None, "{columns}x{rows}");
            }
        }
    }

    #[test]
    fn rooms_are_ordered_by_what_is_asked_for() {
        let first = |order| {
            let lines = screen(order, 80, 24);
            let head = lines
                .iter()
                .position(|line| line.starts_with("ROOM"))
                .unwrap();
            lines[head + 1].clone()
        };

        assert!(
            first(Order::Rate).starts_with("busy"),
            "{}",
            first(Order::Rate)
        );
        assert!(first(Order::Rate).ends_with("500"));
        assert!(first(Order::Users).starts_with("big"));
        assert!(first(Order::Name).starts_with("big"));
    }

    #[test]
    fn the_numbers_are_for_people() {
        let lines = screen(Order::Rate, 120, 24).join("\n");

        for part in ["up 1d 01:01:01", "1,234", "websocket 1,200", "5.0 MiB"] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(
            [rate(None), rate(Some(0.25)), rate(Some(1234.5))],
            ["-", "0.2", "1,235"]
        );
    }
}
