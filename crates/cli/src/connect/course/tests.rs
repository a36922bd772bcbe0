use super::*;
use crate::connect::input::Dialect;
use crate::connect::script;

const READY: Readiness = Readiness {
    takes: true,
    unanswered: 0,
};

#[test]
fn lines_go_out_in_order_once_the_connection_takes_them() {
    let mut course = course("a\nb", rules());
    let now = Instant::now();

    let closed = Readiness {
        takes: false,
        ..READY
    };
    assert_eq!(course.poll(now, closed), Next::Wait(None));
    assert_eq!(course.poll(now, READY), text("a"));
    assert_eq!(course.poll(now, READY), text("b"));
    assert_eq!(course.poll(now, READY), Next::End(Verdict::Done));
}

#[test]
fn an_answer_counts_whether_it_comes_before_or_after_it_is_expected() {
    let now = Instant::now();
    let mut early = course("a\n/expect x\n/expect y", rules());
    assert_eq!(early.poll(now, READY), text("a"));
    early.handle_message("w");
    early.handle_message("x");
    early.handle_message("y");
    assert_eq!(early.poll(now, READY), Next::End(Verdict::Done));

    let mut late = course("a\n/expect x", rules());
    assert_eq!(late.poll(now, READY), text("a"));
    assert_eq!(
        late.poll(now, READY),
        Next::Wait(Some(now + rules().timeout))
    );
    late.handle_message("w");
    late.handle_message("x");
    assert_eq!(late.poll(now, READY), Next::End(Verdict::Done));
}

#[test]
fn what_came_before_the_last_match_is_not_matched_again() {
    let now = Instant::now();
    let mut course = course("a\n/expect y\n/expect x", rules());
    assert_eq!(course.poll(now, READY), text("a"));
    course.handle_message("x");
    course.handle_message("y");

    let deadline = now + rules().timeout;
    assert_eq!(course.poll(now, READY), Next::Wait(Some(deadline)));
    let Next::End(Verdict::Unmet(why)) = course.poll(deadline, READY) else {
        panic!("it is met");
    };
    assert_eq!(why, "\"x\" did not come within 5s");
}

#[test]
fn what_waits_for_an_expectation_is_bounded_and_the_oldest_go() {
    let now = Instant::now();
    let mut course = course("a\n/expect first\n/expect last", rules());
    assert_eq!(course.poll(now, READY), text("a"));

    course.handle_message("first");
    for _ in 0..SEEN_MAX {
        course.handle_message("between");
    }
    course.handle_message("last");

    assert_eq!(course.seen.len(), SEEN_MAX);
    assert!(matches!(course.poll(now, READY), Next::Wait(Some(_))));
    course.handle_message(&"x".repeat(SEEN_BYTES_MAX + 1));
    assert!(course.seen.is_empty());
}

#[test]
fn a_pause_holds_the_lines_behind_it() {
    let now = Instant::now();
    let mut course = course("/wait 1s\na", rules());

    let until = now + Duration::from_secs(1);
    assert_eq!(course.poll(now, READY), Next::Wait(Some(until)));
    assert_eq!(course.poll(until, READY), text("a"));
}

#[test]
fn a_run_that_counts_ends_with_the_last_message_and_is_unmet_without_it() {
    let now = Instant::now();
    let wait = Some(Stay::For(Duration::from_secs(3)));
    let counting = Rules {
        count: Some(2),
        wait,
        ..rules()
    };
    let mut enough = course("", counting);
    assert_eq!(
        enough.poll(now, READY),
        Next::Wait(Some(now + Duration::from_secs(3)))
    );
    enough.handle_message("1");
    enough.handle_message("2");
    assert_eq!(enough.poll(now, READY), Next::End(Verdict::Done));

    let mut too_few = course("", counting);
    too_few.poll(now, READY);
    too_few.handle_message("1");
    let end = too_few.poll(now + Duration::from_secs(3), READY);
    assert_eq!(
        end,
        Next::End(Verdict::Unmet("1 messages came, not 2".into()))
    );
    assert_eq!(
        too_few
            .handle_end(&Ending::ByServer { code: 1000 }, Instant::now())
            .0,
        Exit::Unmet
    );
}

#[test]
fn answers_to_calls_are_waited_for() {
    let now = Instant::now();
    let mut course = course("a", rules());
    let asked = Readiness {
        unanswered: 1,
        ..READY
    };
    assert_eq!(course.poll(now, READY), text("a"));

    let deadline = now + rules().timeout;
    assert_eq!(course.poll(now, asked), Next::Wait(Some(deadline)));
    let Next::End(Verdict::Unmet(_)) = course.poll(deadline, asked) else {
        panic!("it is met");
    };
}

#[test]
fn an_expected_close_is_a_good_end_and_another_code_is_not() {
    let ended = |script: &str, ending| {
        let mut course = course(script, rules());
        course.poll(Instant::now(), READY);
        course.handle_end(&ending, Instant::now()).0
    };

    assert_eq!(
        ended("/expect-close 4000", Ending::ByServer { code: 4000 }),
        Exit::Done
    );
    assert_eq!(
        ended("/expect-close", Ending::ByServer { code: 1011 }),
        Exit::Done
    );
    assert_eq!(
        ended("/expect-close 4000", Ending::ByServer { code: 1000 }),
        Exit::Unmet
    );
    assert_eq!(
        ended("/expect-close\nmore", Ending::ByServer { code: 1000 }),
        Exit::Unmet
    );
    assert_eq!(ended("/expect-close", Ending::Lost), Exit::Lost);
}

#[test]
fn an_end_before_the_script_s_is_told() {
    let mut course = course("/expect x", rules());
    course.poll(Instant::now(), READY);

    let (exit, why) = course.handle_end(&Ending::ByServer { code: 1000 }, Instant::now());
    assert_eq!(
        (exit, why.as_deref()),
        (Exit::Unmet, Some("\"x\" did not come before the end"))
    );
    assert_eq!(
        course
            .handle_end(&Ending::ByServer { code: 1011 }, Instant::now())
            .0,
        Exit::Unmet
    );
    assert_eq!(
        course.handle_end(&Ending::Refused, Instant::now()).0,
        Exit::Refused
    );
}

#[test]
fn what_came_in_time_counts_though_the_end_came_before_its_turn() {
    let busy = Readiness {
        takes: false,
        ..READY
    };
    let ended = |script: &str, code| {
        let (now, mut course) = (Instant::now(), course(script, rules()));
        assert_eq!(course.poll(now, READY), text("a"));
        course.handle_message("x");
        assert_eq!(course.poll(now, busy), Next::Wait(None));
        course.handle_end(&Ending::ByServer { code }, now).0
    };

    assert_eq!(ended("a\n/expect x\n/expect-close 4000", 4000), Exit::Done);
    assert_eq!(ended("a\n/expect x", 1000), Exit::Done);
    assert_eq!(ended("a\n/expect y", 1000), Exit::Unmet);
    assert_eq!(ended("a\n/expect x\nb", 1000), Exit::Unmet);
}

#[test]
fn whoever_types_ends_as_the_connection_does() {
    let mut course = Course::new(rules(), Vec::new(), Lines::Open);

    for (ending, exit) in [
        (Ending::ByUs, Exit::Done),
        (Ending::ByServer { code: 1000 }, Exit::Done),
        (Ending::ByServer { code: 1011 }, Exit::ClosedBadly),
        (Ending::ByServer { code: 1008 }, Exit::Refused),
        (Ending::ByServer { code: 1006 }, Exit::Lost),
        (Ending::Lost, Exit::Lost),
    ] {
        assert_eq!(course.handle_end(&ending, Instant::now()), (exit, None));
    }
}

fn course(text: &str, rules: Rules) -> Course {
    let steps = script::parse(Dialect::Raw, "test", text).unwrap();
    Course::new(rules, steps, Lines::Ended)
}

fn rules() -> Rules {
    Rules {
        count: None,
        wait: None,
        timeout: Duration::from_secs(5),
    }
}

fn text(text: &str) -> Next {
    Next::Do(Input::Text(text.into()))
}
