//! The known calls of clients, with their values by type (spec 7.1 to 7.3).

use super::Command;
use crate::amf::amf0::Value;
use crate::amf::{Object, Text};

/// What a client asks for. A value of an unexpected type counts as absent: at least one encoder sends `false`
/// instead of a name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// Opens the connection.
    Connect(Box<Connect>),
    /// Asks for a message stream.
    CreateStream,
    /// Announces that a stream name will be published again.
    ReleaseStream(Option<Text>),
    /// Announces a publish.
    FcPublish(Option<Text>),
    /// Ends a publish.
    FcUnpublish(Option<Text>),
    /// Announces a play.
    FcSubscribe(Option<Text>),
    /// Asks how long a recording is.
    GetStreamLength(Option<Text>),
    /// Gives a message stream back.
    DeleteStream(Option<u32>),
    /// Wants its bandwidth measured.
    CheckBandwidth,
    /// Closes the connection.
    Close,
    /// Wants to publish.
    Publish {
        /// The stream name, with its query.
        name: Option<Text>,
        /// What to do with the media.
        kind: PublishKind,
    },
    /// Wants to play.
    Play(PlayArguments),
    /// Pauses or goes on.
    Pause {
        /// Which of them.
        state: PauseState,
        /// The viewer's position in milliseconds.
        millis: f64,
    },
    /// Wants another position.
    Seek {
        /// In milliseconds.
        millis: f64,
    },
    /// Wants audio or not.
    ReceiveAudio(bool),
    /// Wants video or not.
    ReceiveVideo(bool),
    /// Ends play or publish; the message stream stays.
    CloseStream,
    /// Anything else; the command says what.
    Other,
}

impl Call {
    /// Gives `command` its meaning.
    pub fn from_command(command: &Command) -> Self {
        let text = |index| command.argument(index).and_then(Value::as_text).cloned();
        let number = |index| command.argument(index).and_then(Value::as_number);
        let flag = |index| command.argument(index).and_then(Value::as_bool);
        match command.name.as_bytes() {
            b"connect" => Self::Connect(Box::new(Connect::from_command(command))),
            b"createStream" => Self::CreateStream,
            b"releaseStream" => Self::ReleaseStream(text(0)),
            b"FCPublish" => Self::FcPublish(text(0)),
            b"FCUnpublish" => Self::FcUnpublish(text(0)),
            b"FCSubscribe" => Self::FcSubscribe(text(0)),
            b"getStreamLength" => Self::GetStreamLength(text(0)),
            b"deleteStream" => Self::DeleteStream(number(0).map(|msid| msid as u32)),
            b"_checkbw" | b"checkBandwidth" => Self::CheckBandwidth,
            b"close" => Self::Close,
            b"publish" => Self::Publish { name: text(0), kind: PublishKind::from_text(text(1).as_ref()) },
            b"play" => Self::Play(PlayArguments {
                name: text(0),
                start: number(1),
                duration_millis: number(2),
                reset: flag(3),
            }),
            b"play2" => {
                let options = command.argument(0).and_then(Value::as_object);
                let option = |key| options.and_then(|options| options.get(key));
                Self::Play(PlayArguments {
                    name: option("streamName").and_then(Value::as_text).cloned(),
                    start: option("start").and_then(Value::as_number),
                    duration_millis: option("len").and_then(Value::as_number),
                    reset: None,
                })
            }
            b"pause" | b"pauseRaw" => Self::Pause {
                state: if flag(0).unwrap_or(true) { PauseState::Paused } else { PauseState::Playing },
                millis: number(1).unwrap_or(0.0),
            },
            b"seek" => Self::Seek { millis: number(0).unwrap_or(0.0) },
            b"receiveAudio" => Self::ReceiveAudio(flag(0).unwrap_or(true)),
            b"receiveVideo" => Self::ReceiveVideo(flag(0).unwrap_or(true)),
            b"closeStream" => Self::CloseStream,
            _ => Self::Other,
        }
    }
}

/// Whether a viewer pauses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PauseState {
    /// Nothing is to be sent.
    Paused,
    /// Media flows.
    Playing,
}

/// What a publisher wants to happen with its media.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PublishKind {
    /// Relay it. Also when nothing, or something unknown, was said.
    #[default]
    Live,
    /// Record it, too.
    Record,
    /// Record it behind what there is.
    Append,
}

impl PublishKind {
    fn from_text(text: Option<&Text>) -> Self {
        match text.map(Text::as_bytes) {
            Some(b"record") => Self::Record,
            Some(b"append") => Self::Append,
            _ => Self::Live,
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Append => "append",
        }
    }
}

/// The values of `play` and `play2`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlayArguments {
    /// The stream name, with its query.
    pub name: Option<Text>,
    /// Where to start; negative numbers all mean live for a relay.
    pub start: Option<f64>,
    /// How long to play in milliseconds when positive.
    pub duration_millis: Option<f64>,
    /// Whether an earlier playlist is dropped.
    pub reset: Option<bool>,
}

/// The values of `connect`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// The application; empty when missing.
    pub app: Text,
    /// The URL the user gave; empty when missing.
    pub tc_url: Text,
    /// Name and version of the client.
    pub flash_version: Option<Text>,
    /// The page the player is on; feeds `refer` rules.
    pub page_url: Option<Text>,
    /// The player's own URL.
    pub swf_url: Option<Text>,
    /// 0 for AMF0, 3 for AMF3.
    pub object_encoding: f64,
    /// What Enhanced RTMP features the client named, when it named any.
    pub capabilities: Option<Capabilities>,
    /// All properties as they came.
    pub properties: Object<Value>,
    /// Values behind the properties; some clusters put tokens here.
    pub arguments: Vec<Value>,
}

impl Connect {
    fn from_command(command: &Command) -> Self {
        let properties = command.object.as_object().cloned().unwrap_or_default();
        let text = |key| properties.get(key).and_then(Value::as_text).cloned();
        Self {
            app: text("app").unwrap_or_default(),
            tc_url: text("tcUrl").unwrap_or_default(),
            flash_version: text("flashVer"),
            page_url: text("pageUrl"),
            swf_url: text("swfUrl"),
            object_encoding: properties.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0),
            capabilities: Capabilities::from_properties(&properties),
            arguments: command.arguments.clone(),
            properties,
        }
    }
}

/// Enhanced RTMP features named in `connect` (spec 8.4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capabilities {
    /// FourCCs the client can decode (version 1 of the enhancement); `*` is any.
    pub fourcc_list: Vec<Text>,
    /// Video FourCCs with a mask: 1 decode, 2 encode, 4 forward.
    pub video: Vec<(Text, u8)>,
    /// Audio FourCCs with the same mask.
    pub audio: Vec<(Text, u8)>,
    /// Bit mask of features, see the constants.
    pub features: u32,
}

impl Capabilities {
    /// The peer follows reconnect requests.
    pub const RECONNECT: u32 = 1;
    /// The peer understands multitrack messages.
    pub const MULTITRACK: u32 = 2;
    /// The peer understands ModEx prefixes.
    pub const MOD_EX: u32 = 4;
    /// The peer understands nanosecond offsets.
    pub const NANO_OFFSET: u32 = 8;

    /// `None` when not one of the properties is there.
    fn from_properties(properties: &Object<Value>) -> Option<Self> {
        let list = properties.get("fourCcList");
        let video = properties.get("videoFourCcInfoMap");
        let audio = properties.get("audioFourCcInfoMap");
        let features = properties.get("capsEx");
        if [list, video, audio, features].iter().all(Option::is_none) {
            return None;
        }
        let map = |value: Option<&Value>| match value.and_then(Value::as_object) {
            Some(object) => object
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_number()? as u8)))
                .collect(),
            None => Vec::new(),
        };
        let fourcc_list = match list {
            Some(Value::StrictArray(values)) => values.iter().filter_map(Value::as_text).cloned().collect(),
            _ => Vec::new(),
        };
        let features = features.and_then(Value::as_number).unwrap_or(0.0) as u32;
        Some(Self { fourcc_list, video: map(video), audio: map(audio), features })
    }

    /// Whether all of `features` were named.
    pub fn has(&self, features: u32) -> bool {
        self.features & features == features
    }

    /// What a relay says of itself: it can forward everything.
    pub fn relay_properties() -> Object<Value> {
        let any = || Value::Object(Object::new().with("*", 4_u32));
        let all = Self::RECONNECT | Self::MULTITRACK | Self::MOD_EX | Self::NANO_OFFSET;
        Object::new().with("videoFourCcInfoMap", any()).with("audioFourCcInfoMap", any()).with("capsEx", all)
    }
}
