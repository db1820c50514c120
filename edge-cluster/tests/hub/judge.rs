//! Random lives of a stream against a plain server that writes for each viewer alone.
//!
//! The plain server knows every message and gives each viewer times by the rules of spec 9.6, message by message.
//! Viewers that are never slow must get exactly what it would send. Slow ones may miss messages, but never so that a
//! picture lacks the ones it needs, or a frame its header.

use edge_cluster::ConnId;
use edge_cluster::hub::{HubEvent, Join, JoinKind, Lane};
use proptest::prelude::*;
use rtmp_core::{Media, MediaKind};

use crate::world::{World, audio, audio_header, cue_point, inter, key, letter, number, video_header};

#[derive(Clone, Debug)]
enum Step {
    /// A burst: kinds and how far time goes on before each message.
    Push(Vec<(char, i32)>),
    Jump(i32),
    Source,
    Join(bool),
    Leave(usize),
    /// So many come, and leave without having got anything.
    Crowd(u64),
    Window(usize, usize),
    Pause(usize),
    Resume(usize),
    Receive(usize, bool, bool),
    Advance(u64),
}

fn steps(calm: bool) -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![6 => Just('V'), 1 => Just('K'), 7 => Just('A'), 1 => Just('D')];
    let message = (kind, prop_oneof![9 => 0..60_i32, 1 => -20..0_i32]);
    let burst = prop::collection::vec(message, 1..6).prop_map(Step::Push);
    let header = prop_oneof![Just('S'), Just('H')].prop_map(|kind| Step::Push(vec![(kind, 0)]));
    // Calm viewers do the same things to nobody.
    let viewer = if calm { 0..1_usize } else { 1..10 };
    let window = prop_oneof![Just(0), 1..200_usize, Just(usize::MAX)];
    let step = prop_oneof![
        30 => burst,
        1 => header,
        1 => prop_oneof![-9_000..9_000_i32, Just(400_000)].prop_map(Step::Jump),
        1 => Just(Step::Source),
        3 => prop::bool::weighted(0.2).prop_map(Step::Join),
        1 => (1..10_usize).prop_map(Step::Leave),
        1 => (1..100_u64).prop_map(Step::Crowd),
        6 => (viewer.clone(), window).prop_map(|(viewer, window)| Step::Window(viewer, window)),
        1 => viewer.clone().prop_map(Step::Pause),
        2 => viewer.clone().prop_map(Step::Resume),
        1 => (viewer, any::<bool>(), any::<bool>()).prop_map(|(v, video, on)| Step::Receive(v, video, on)),
        2 => (0..400_u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..150)
}

/// Everything viewers could have got, in order, with the source of each message.
struct Told {
    media: Media,
    epoch: u32,
}

struct Run {
    world: World,
    told: Vec<Told>,
    time: u32,
    count: u32,
    /// Per viewer: how much had been told when it joined, and by how many sources, and whether it has left.
    joined: Vec<(usize, u32)>,
    left: Vec<bool>,
    resumes: Vec<u32>,
    lanes: Vec<Lane>,
    largest: usize,
}

impl Run {
    fn new(vhost: &str) -> Self {
        let world = World::new(vhost);
        Self {
            world,
            told: Vec::new(),
            time: 5_000,
            count: 0,
            joined: vec![],
            left: vec![],
            resumes: vec![],
            lanes: vec![],
            largest: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        let viewers = self.joined.len().max(1);
        let conn = |run: &Self, at: &usize| {
            let player = (*at > 0).then(|| run.world.players.get(at % viewers)).flatten();
            player.map(|player| player.conn)
        };
        match step {
            Step::Push(messages) => {
                let burst: Vec<Media> = messages.iter().map(|(kind, on)| self.message(*kind, *on)).collect();
                self.world.push(&burst);
            }
            Step::Jump(millis) => self.time = self.time.wrapping_add(millis.cast_unsigned()),
            Step::Source => {
                self.world.begin();
                let headers = [self.message('H', 0), self.message('S', 0)];
                self.world.push(&headers);
            }
            Step::Join(flv) => {
                if self.joined.len() < 9 {
                    self.joined.push((self.told.len(), self.world.ingest.epoch()));
                    self.left.push(false);
                    self.resumes.push(0);
                    let lane = if *flv { Lane::Flv } else { Lane::Chunks };
                    self.lanes.push(lane);
                    self.world.join(lane, JoinKind::Viewer);
                }
            }
            Step::Leave(at) => {
                if let Some(conn) = conn(self, at) {
                    self.left[at % viewers] = true;
                    self.world.hub.leave(conn);
                }
            }
            Step::Crowd(count) => {
                let crowd = || (0..*count).map(|n| ConnId::inbound(1_000 + n));
                let join = Join { msid: 1, lane: Lane::Chunks, kind: JoinKind::Viewer };
                crowd().for_each(|conn| self.world.hub.join(conn, join));
                crowd().for_each(|conn| self.world.hub.leave(conn));
            }
            Step::Window(at, window) => {
                if conn(self, at).is_some() {
                    self.world.open(at % viewers, *window);
                }
            }
            Step::Pause(at) => conn(self, at).into_iter().for_each(|conn| self.world.hub.pause(conn)),
            Step::Resume(at) => {
                if let Some(conn) = conn(self, at) {
                    self.resumes[at % viewers] += 1;
                    self.world.hub.resume(conn);
                }
            }
            Step::Receive(at, video, on) => {
                let kind = if *video { MediaKind::Video } else { MediaKind::Audio };
                conn(self, at).into_iter().for_each(|conn| self.world.hub.receive(conn, kind, *on));
            }
            Step::Advance(millis) => self.world.advance(*millis),
        }
        self.world.settle();
        self.note();
    }

    fn message(&mut self, kind: char, on: i32) -> Media {
        self.time = self.time.wrapping_add(on.cast_unsigned());
        self.count += 1;
        let (time, count) = (self.time, self.count);
        match kind {
            'K' => key(time, count),
            'V' => inter(time, count),
            'S' => video_header(time, count),
            'H' => audio_header(time, count),
            'A' => audio(time, count),
            _ => cue_point(time),
        }
    }

    /// Notes what the home has told since the last time, and checks the bounds.
    fn note(&mut self) {
        for segment in self.world.segments.drain(..) {
            self.largest = self.largest.max(segment.memory_bytes());
            let all = (0..segment.chunks.index().len()).filter_map(|at| segment.chunks.media(at));
            self.told.extend(all.map(|media| Told { media, epoch: segment.epoch }));
        }
    }

    fn finish(&mut self) {
        self.world.advance(1_000);
        for viewer in 0..self.joined.len() {
            self.world.open(viewer, usize::MAX);
        }
        self.note();
    }

    /// The corrected line of times: what spec 9.6 `full` makes of the deltas of all messages. Another source goes on behind
    /// the latest of the last ones' times.
    fn line(&self) -> Vec<i64> {
        let mut last: Option<(u32, u32)> = None;
        let (mut line, mut reached) = (0_i64, 0_i64);
        self.told
            .iter()
            .map(|told| {
                let time = told.media.timestamp.millis();
                if told.media.kind != MediaKind::Data {
                    if let Some((before, epoch)) = last {
                        let delta = i64::from(time.wrapping_sub(before).cast_signed());
                        line = match (epoch != told.epoch, delta.abs() > 250) {
                            (true, _) => reached + 10,
                            (_, true) => line + 10,
                            _ => line + delta,
                        };
                        if epoch != told.epoch || delta.abs() > 250 || !(-250..0).contains(&(line - reached))
                        {
                            reached = line;
                        }
                    }
                    last = Some((time, told.epoch));
                }
                line
            })
            .collect()
    }

    fn place_of(&self, media: &Media) -> usize {
        let same = |told: &Told| told.media.kind == media.kind && told.media.payload == media.payload;
        self.told.iter().position(same).expect("the viewer got something nobody sent")
    }
}

/// What a viewer has to see, whatever happened to it.
fn check_viewer(run: &Run, viewer: usize, line: &[i64]) -> Result<(), TestCaseError> {
    let got = &run.world.players[viewer].got;
    let frames = got.iter().filter(|media| "KVA".contains(letter(media)));
    let mut last = None;
    // Of each kind: the header it got last.
    let mut headers = [None, None];
    let mut pictures: Option<usize> = None;
    let mut shift: Option<i64> = None;
    let mut was_low = true;
    let mut resumes = run.resumes[viewer];
    // Of audio, video and their headers.
    let mut latest = 0;
    for media in got {
        match letter(media) {
            'S' => headers[1] = Some(number(media)),
            'H' => headers[0] = Some(number(media)),
            'D' => prop_assert_eq!(media.timestamp.millis(), 0),
            _ => {}
        }
        was_low |= media.timestamp.millis() == 0;
        let before = latest;
        if media.kind != MediaKind::Data {
            latest = latest.max(i64::from(media.timestamp.millis()));
        }
        if !"KVA".contains(letter(media)) {
            continue;
        }
        let place = run.place_of(media);
        prop_assert!(last.is_none_or(|last| last < place), "in order and once");
        last = Some(place);

        // Times differ from the line by the same number, but where they would have been below 0. Behind a pause they go
        // on without it.
        let time = i64::from(media.timestamp.millis());
        let now = time - line[place];
        if run.lanes[viewer] == Lane::Flv {
            // Tags are told a time in common, which another viewer's messages may have moved.
        } else if let Some(shift) = shift.filter(|shift| now >= *shift || resumes == 0) {
            prop_assert!(now >= shift, "{time} at {place}, {now} after {shift}");
            prop_assert!(now == shift || was_low, "{time} at {place}, {now} after {shift}");
        } else if shift.is_some() {
            resumes -= 1;
            // What it missed for other reasons, once its times went on, is still to be seen, and so are small steps back
            // of the source.
            prop_assert!(time >= before - 250, "{time} at {place}, after {before}");
        } else {
            prop_assert!(was_low || time == 9 || headers.iter().any(Option::is_some), "starts at {}", time);
        }
        shift = Some(now);
        was_low = false;

        // The header that is valid for it.
        let kind = media.kind;
        let header = |told: &&Told| told.media.kind == kind && "SH".contains(letter(&told.media));
        let epoch = run.told[place].epoch;
        let valid = run.told[..place].iter().rev().find(header).filter(|told| told.epoch == epoch);
        if let Some(valid) = valid {
            let known = headers[usize::from(kind == MediaKind::Video)];
            prop_assert_eq!(known, Some(number(&valid.media)), "the header of {:?} at {}", media, place);
        }

        if letter(media) == 'V' {
            // All pictures since its key frame, unless the viewer began in the middle.
            let before = run.told[..place].iter().rposition(|told| "KV".contains(letter(&told.media)));
            if let (Some(pictures), Some(before)) = (pictures, before) {
                prop_assert_eq!(pictures, before, "a picture is missing in front of {}", place);
            }
        }
        if media.kind == MediaKind::Video {
            pictures = Some(place);
        }
    }
    prop_assert!(frames.count() <= run.told.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Who keeps up gets everything from its start on, which is the key frame of the GOP cache, or the next message.
    #[test]
    fn viewers_that_keep_up_get_what_a_plain_server_sends(steps in steps(true), merge in any::<bool>()) {
        let mut run = Run::new(if merge { "" } else { "min_latency on;" });
        steps.iter().for_each(|step| run.step(step));
        run.finish();
        let line = run.line();
        for viewer in 0..run.joined.len() {
            check_viewer(&run, viewer, &line)?;
            let got = &run.world.players[viewer].got;
            let Some(first) = got.iter().find(|media| "KVA".contains(letter(media))) else { continue };
            let from = run.place_of(first);
            let (joined, epoch) = run.joined[viewer];
            // Nothing older than the last key frame of the running source in front of the join.
            let is_key = |told: &Told| letter(&told.media) == 'K' && told.epoch == epoch;
            let key = run.told[..joined].iter().rposition(is_key);
            prop_assert!(from >= key.unwrap_or(joined).min(joined));
            if from < joined {
                prop_assert_eq!(letter(first), 'K');
            }
            if !run.left[viewer] {
                let frames = |media: &&Media| "KVA".contains(letter(media));
                let all: Vec<_> = run.told[from..].iter().map(|told| &told.media).filter(frames).collect();
                let seen: Vec<_> = got.iter().filter(frames).collect();
                let same = |(a, b): (&&Media, &&Media)| a.payload == b.payload && a.kind == b.kind;
                prop_assert_eq!(seen.len(), all.len());
                prop_assert!(seen.iter().zip(&all).all(same));
            }
        }
        prop_assert_eq!(run.world.hub.stats().resyncs, 0);
        prop_assert_eq!(&run.world.events, &Vec::<HubEvent>::new());
    }

    /// Whatever viewers do, what they get can be decoded, and memory has its bounds.
    #[test]
    fn slow_viewers_miss_messages_but_never_a_picture_that_is_needed(steps in steps(false), mode in 0..4_usize) {
        let play = ["", "mw_latency 0;", "mw_latency 0; send_min_interval 3;", "gop_cache off; mw_latency 0;"][mode];
        let limits = "extension { gop_cache_max_bytes 8192; queue_max_bytes 8192; }";
        let mut run = Run::new(&format!("play {{ queue_length 1; {play} }} {limits}"));
        for step in &steps {
            run.step(step);
            let segments = run.world.hub.memory_bytes();
            // The GOP, or else a queue in front of it; twice where there are tags; and tables.
            prop_assert!(segments < 4 * 8_192 + 2 * run.largest + 16_384, "{segments} bytes");
        }
        run.finish();
        let line = run.line();
        for viewer in 0..run.joined.len() {
            check_viewer(&run, viewer, &line)?;
        }
        prop_assert!(run.world.hub.stats().viewers <= 9);
        let upstream = run.world.join(Lane::Chunks, JoinKind::Upstream);
        prop_assert!(run.world.players[upstream].got.iter().all(|media| run.place_of(media) < run.told.len()));
    }
}
