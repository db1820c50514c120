//! One seed is one jam: who plays, over which network, and what goes wrong.

use crate::ears::{Heard, WINDOW};
use crate::musician::Fader;
use crate::room::Room;
use crate::shadow::Shadow;
use crate::strangers::Strangers;
use crate::world::World;
use bytes::Bytes;
use jam_mixer::server::JamConfig;
use jam_proto::audio::Quality;
use jam_proto::client::ClientConfig;
use jam_proto::guard::ReplyPolicy;
use jam_proto::message::{ChannelInfo, Connectionless, Name};
use jam_proto::rng::Rng;
use jam_proto::sim::{Link, Loss};
use jam_proto::wire::FrameWriter;
use jam_proto::{
    AudioProps, BlockCodec, BlockFactor, ChannelId, Gain, JitterSize, Layout, Pan, ServerLimits,
};
use std::time::Duration;

/// How good the network is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weather {
    /// Delay only: nothing may be lost or changed.
    Clear,
    /// A few milliseconds of jitter.
    Breeze,
    /// Jitter, loss, duplicates, reordering.
    Storm,
}

/// Which blocks travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Coding {
    Raw,
    Opus,
    Mixed,
}

/// What a seed draws.
#[derive(Clone, Debug)]
pub(crate) struct Jam {
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
    pub(crate) coding: Coding,
    pub(crate) fast_update: bool,
    pub(crate) delay_panning: bool,
    pub(crate) musicians: usize,
    pub(crate) faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Freeze,
    Rebind(usize),
    KillAndReturn(usize),
    LeaveAndReturn(usize),
    /// The server is started anew.
    Restart,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The last faders are moved now; everybody has joined and faded in.
const FADERS: Duration = ms(10_500);
/// Everybody says hello.
const CHAT: Duration = ms(10_000);
/// The ears open.
const LISTEN: Duration = ms(12_500);

impl Jam {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let musicians = rng.between(2, 6) as usize;
        let faults = (0..rng.below(4)).map(|_| {
            let n = rng.below(musicians as u64) as usize;
            match rng.below(6) {
                0 | 1 => Fault::Freeze,
                2 => Fault::Rebind(n),
                3 => Fault::KillAndReturn(n),
                4 => Fault::LeaveAndReturn(n),
                _ => Fault::Restart,
            }
        });
        let mut faults: Vec<Fault> = faults.collect();
        // Two accidents of one musician would take longer than the script has time for.
        let hit = |fault: &Fault| match fault {
            Fault::Freeze => usize::MAX - 1,
            Fault::Restart => usize::MAX,
            Fault::Rebind(n) | Fault::KillAndReturn(n) | Fault::LeaveAndReturn(n) => *n,
        };
        faults.sort_by_key(hit);
        faults.dedup_by_key(|fault| hit(fault));
        Self {
            seed,
            weather: *rng.pick(&[Weather::Clear, Weather::Breeze, Weather::Storm]).expect("not empty"),
            coding: *rng.pick(&[Coding::Raw, Coding::Raw, Coding::Opus, Coding::Mixed]).expect("not empty"),
            fast_update: rng.chance(0.3),
            delay_panning: rng.chance(0.15),
            musicians,
            faults,
        }
    }

    /// Plays the jam and judges it. The digest is the same whenever the seed is played.
    pub(crate) fn play(&self) -> u64 {
        let mut world = self.run();
        self.judge(&mut world);
        world.digest()
    }

    /// Plays the jam up to the moment of judgement.
    pub(crate) fn run(&self) -> World {
        let mut rng = Rng::new(self.seed ^ 0x5EED);
        let mut world = self.world();
        for n in 0..self.musicians {
            self.invite(&mut world, &mut rng, n);
        }
        self.script(&mut world, &mut rng);
        world.run_until(LISTEN);
        world
    }

    fn world(&self) -> World {
        let mut limits = ServerLimits::default();
        // Nothing beyond what came in, so that the books about strangers can be checked at every step.
        limits.guard.replies = ReplyPolicy::Strict;
        let config = JamConfig::builder()
            .channels_max(16)
            .fast_update(self.fast_update)
            .delay_panning(self.delay_panning)
            .welcome("Have fun")
            .protocol(|p| p.limits(limits))
            .build()
            .expect("a possible configuration");
        let seed = self.seed;
        World::new(seed, move |now| {
            (Room::new(config.clone(), seed, now), Shadow::new(config.engine.clone()))
        })
    }

    fn invite(&self, world: &mut World, rng: &mut Rng, n: usize) {
        let props = self.draw_format(rng);
        let mut config = ClientConfig::new(props);
        config.info = ChannelInfo { name: Name::cut(&format!("m{n}")), ..ChannelInfo::default() };
        config.ping_interval = rng.chance(0.5).then_some(ms(500));
        // A buffer has to hold what one datagram brings and what one tick takes, and the jitter besides.
        let blocks_min = match self.weather {
            Weather::Storm => 14,
            _ => 2 * props.factor.blocks().max(2) as u64 + 2,
        };
        config.jitter_size = match rng.chance(0.5) {
            true => JitterSize::Auto,
            false => JitterSize::Blocks(rng.between(blocks_min, 20) as u8),
        };
        let weather = self.weather;
        let delay = ms(rng.below(40));
        let (jitter, loss) = (ms(rng.below(8)), rng.unit() * 0.03);
        let in_bursts = rng.chance(0.5);
        let link = move |link: &mut Link| {
            link.delay(delay);
            match weather {
                Weather::Clear => {}
                Weather::Breeze => drop(link.jitter(ms(3))),
                Weather::Storm => {
                    let loss = if in_bursts { Loss::bursts(loss, 3.0) } else { Loss::Random(loss) };
                    link.jitter(jitter).loss(loss).duplicate(0.01).reorder(0.01, ms(4));
                }
            }
        };
        world.at(ms(rng.below(1_500)), move |world| {
            let n = world.musician(config);
            world.link(n, link);
        });
    }

    fn draw_format(&self, rng: &mut Rng) -> AudioProps {
        let codec = *rng.pick(&[BlockCodec::Opus, BlockCodec::Opus64]).expect("not empty");
        let layout = *rng.pick(&[Layout::Mono, Layout::Stereo]).expect("not empty");
        let quality = *rng.pick(&[Quality::Low, Quality::Normal, Quality::High]).expect("not empty");
        let factor = *rng
            .pick(&[BlockFactor::One, BlockFactor::One, BlockFactor::Two, BlockFactor::Four])
            .expect("not empty");
        let raw = match self.coding {
            Coding::Raw => true,
            Coding::Opus => false,
            Coding::Mixed => rng.chance(0.5),
        };
        let mut props = AudioProps { factor, ..quality.props(codec, layout) };
        if raw {
            props.block_bytes = AudioProps::raw_block_bytes(codec, layout);
        }
        props
    }

    fn script(&self, world: &mut World, rng: &mut Rng) {
        for fault in &self.faults {
            let at = ms(rng.between(2_500, 3_500));
            match *fault {
                Fault::Freeze => world.at(at, |world| world.freeze(ms(40))),
                Fault::Restart => world.at(at, World::restart),
                Fault::LeaveAndReturn(n) => {
                    world.at(at, move |world| world.leave(n));
                    world.at(at + ms(rng.between(300, 1_500)), move |world| world.come_back(n));
                }
                Fault::Rebind(n) => world.at(at, move |world| world.rebind(n)),
                Fault::KillAndReturn(n) => {
                    world.at(at, move |world| world.kill(n));
                    world.at(at + ms(rng.between(300, 1_500)), move |world| world.come_back(n));
                }
            }
        }
        for _ in 0..20 {
            let (at, seed) = (ms(rng.between(6_000, 9_500)), rng.next_u64());
            world.at(at, move |world| {
                let mut rng = Rng::new(seed);
                let n = world.musicians.len() as u64;
                let (listener, source) = (rng.below(n) as usize, rng.below(n) as usize);
                if world.sees(listener, source) {
                    world.set_fader(listener, source, draw_fader(&mut rng));
                }
            });
        }
        for n in 0..200 {
            let (at, seed) = (ms(rng.below(12_000)), rng.next_u64());
            world.at(at, move |world| {
                let mut rng = Rng::new(seed);
                world.send_as_stranger(Strangers::address(n), stranger_says(&mut rng));
            });
        }
        world.at(CHAT, |world| {
            for n in 0..world.musicians.len() {
                world.say(n, &hello(n));
            }
        });
        let seed = rng.next_u64();
        world.at(FADERS, move |world| {
            let mut rng = Rng::new(seed);
            for listener in 0..world.musicians.len() {
                for source in 0..world.musicians.len() {
                    if rng.chance(0.5) {
                        world.set_fader(listener, source, draw_fader(&mut rng));
                    }
                }
            }
        });
    }

    pub(crate) fn judge(&self, world: &mut World) {
        let compared = world.compared_before + world.shadow.compared;
        // Two musicians in a storm with every fault are compared for little more than half of their time.
        assert!(compared > 1_500, "only {compared} datagrams were compared");
        assert!(world.strangers.answered > 0, "strangers got no answers at all");
        self.judge_messages(world);
        let hertz: Vec<u32> = world.musicians.iter().map(|musician| musician.tone.hertz).collect();
        let breaks: Vec<u64> = world.musicians.iter().map(|musician| musician.ears.breaks).collect();
        // Losses damage single windows; what counts is the usual one.
        let windows = if self.weather == Weather::Storm { 9 } else { 3 };
        let mut heard: Vec<Vec<(Vec<Heard>, [f64; 2])>> = vec![Vec::new(); hertz.len()];
        for window in 1..=windows {
            world.run_until(LISTEN + Duration::from_micros(WINDOW as u64 * 1_000_000 / 48_000) * window);
            for (listener, heard) in world.musicians.iter().zip(&mut heard) {
                heard.push(listener.ears.analyse(&hertz));
            }
        }
        if std::env::var_os("JAM_WORLD_TELL").is_some() {
            self.tell(world, &heard);
        }
        for listener in 0..hertz.len() {
            for source in 0..hertz.len() {
                self.judge_pair(world, listener, source, &heard[listener]);
            }
            if self.weather == Weather::Clear {
                let musician = &world.musicians[listener];
                assert_eq!(musician.ears.breaks, breaks[listener], "{listener} lost blocks on a clear link");
                if self.coding == Coding::Raw && !self.delay_panning {
                    let noise = heard[listener].iter().flat_map(|(_, rest)| *rest).fold(0.0, f64::max);
                    assert!(noise < 3.0, "{listener} hears noise of {noise} beside the tones");
                }
            }
        }
    }

    /// Whatever the network does, messages arrive.
    fn judge_messages(&self, world: &World) {
        let channels = world.room.channels();
        for (n, musician) in world.musicians.iter().enumerate() {
            let listed: Vec<ChannelId> = musician.list.iter().map(|entry| entry.channel).collect();
            assert_eq!(listed, channels, "{n} sees others than are connected");
            // Meters are not repeated, but one that arrives has a level for each channel.
            assert_eq!(musician.levels, channels.len(), "{n} has a wrong number of levels");
            assert!(musician.chat.iter().any(|line| line.contains("Have fun")), "{n} was not welcomed");
            for speaker in 0..world.musicians.len() {
                let heard = musician.chat.iter().filter(|line| line.contains(&hello(speaker))).count();
                assert_eq!(heard, 1, "how often {n} was told what {speaker} said");
            }
        }
    }

    /// What everybody hears, for people who look for a defect.
    fn tell(&self, world: &World, heard: &[Vec<(Vec<Heard>, [f64; 2])>]) {
        let (compared, withheld) = (world.shadow.compared, world.shadow.withheld);
        eprintln!("{compared} datagrams compared, {withheld} withheld; {:#?}", world.room.stats());
        for (n, (musician, windows)) in world.musicians.iter().zip(heard).enumerate() {
            eprintln!(
                "{n} is {:?}, {:?}, assigned {}",
                musician.client.channel(),
                musician.props(),
                musician.assigned
            );
            eprintln!("  {:?}, {} breaks", musician.client.stats(), musician.ears.breaks);
            for (source, fader) in &musician.faders {
                eprintln!("  wants {source}: {fader:?}");
            }
            for (heard, rest) in windows {
                let left: Vec<i64> = heard.iter().map(|heard| heard.amplitude[0].round() as i64).collect();
                eprintln!("  hears {left:?} and {:.0}", rest[0]);
            }
        }
    }

    fn judge_pair(&self, world: &World, listener: usize, source: usize, windows: &[(Vec<Heard>, [f64; 2])]) {
        let fader = world.musicians[listener].faders.get(&world.channel(source)).copied().unwrap_or_default();
        let raw = [listener, source].iter().all(|n| world.musicians[*n].props().is_raw_size());
        for side in 0..2 {
            let mut amplitudes: Vec<f64> =
                windows.iter().map(|(heard, _)| heard[source].amplitude[side]).collect();
            amplitudes.sort_by(f64::total_cmp);
            let usual = amplitudes[amplitudes.len() / 2];
            let expected = self.expected(world, listener, source, side);
            let all: f64 = (0..world.musicians.len()).map(|n| self.expected(world, listener, n, side)).sum();
            let allowed = match (self.weather, raw) {
                (Weather::Clear, true) if self.coding == Coding::Raw => 3.0,
                (Weather::Storm, _) => 0.35 * expected + 250.0,
                // The noise of a coarse coder grows with all that it codes, and falls on the silent tones too.
                _ => 0.2 * expected + 200.0 + 0.01 * all,
            };
            assert!(
                (usual - expected).abs() <= allowed,
                "{listener} hears {source} at {usual:.0} on side {side} instead of {expected:.0} (+-{allowed:.0}): \
                 {fader:?}, {:?} from {:?}",
                world.musicians[listener].props(),
                world.musicians[source].props(),
            );
        }
    }

    /// The amplitude at which `listener` should hear `source` on a side.
    fn expected(&self, world: &World, listener: usize, source: usize, side: usize) -> f64 {
        let fader = world.musicians[listener].faders.get(&world.channel(source)).copied().unwrap_or_default();
        let pan = fader.pan.position();
        let law = match (world.musicians[listener].stereo(), self.delay_panning) {
            (false, _) | (_, true) => [1.0, 1.0],
            _ => [2.0 * (1.0 - pan).min(0.5), 2.0 * pan.min(0.5)],
        };
        world.musicians[source].tone.amplitude * f64::from(fader.gain.factor()) * f64::from(law[side])
    }
}

fn hello(n: usize) -> String {
    format!("hello from {n}")
}

fn draw_fader(rng: &mut Rng) -> Fader {
    let gain = match rng.below(4) {
        0 => Gain::ZERO,
        1 => Gain::UNITY,
        _ => Gain(rng.below(0x8001) as u16),
    };
    let pan = if rng.chance(0.5) { Pan::CENTRE } else { Pan::new(rng.below(0x8001) as u16) };
    Fader { gain, pan }
}

fn stranger_says(rng: &mut Rng) -> Bytes {
    let mut frames = FrameWriter::new();
    match rng.below(9) {
        0 => Connectionless::Ping { time_ms: 7 }.frame(&mut frames),
        1 => Connectionless::PingWithClients { time_ms: 7, clients: 0 }.frame(&mut frames),
        2 => Connectionless::RequestVersionAndOs.frame(&mut frames),
        3 => Connectionless::RequestClientList.frame(&mut frames),
        4 => Connectionless::RequestServerList.frame(&mut frames),
        5 => Connectionless::RequestServerFeatures.frame(&mut frames),
        6 => Connectionless::Disconnection.frame(&mut frames),
        7 => frames.frame(rng.below(3_000) as u16, rng.below(256) as u8, &[0; 20]),
        _ => (0..rng.between(1, 200)).map(|_| rng.below(256) as u8).collect::<Vec<u8>>().into(),
    }
}
