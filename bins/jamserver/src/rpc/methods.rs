//! What the remote control can do (spec 8.2, 8.3).

use jam_mixer::recorder::thread::RecorderOrder;
use jam_mixer::server::Command;
use jam_mixer::tokio::{MusicianInfo, OrderError};
use jam_proto::message::RecorderState;
use jam_proto::{ChannelId, Layout};
use serde_json::{Value, json};

use super::message::{INTERNAL_ERROR, METHOD_NOT_FOUND, Outcome, Refusal, Request};
use super::notification;
use crate::office::Office;
use crate::settings::{DirectoryChoice, absolute};

/// UTF-16 units of a text for one musician (spec 8.3).
const PRIVATE_UNITS_MAX: usize = 1600;

/// Carries out a request of a program that has authenticated.
pub(super) async fn call(request: &Request<'_>, office: &Office) -> Outcome {
    match request.method {
        "jamulus/getMode" => Ok(json!({ "mode": "server" })),
        "jamulus/getVersion" => Ok(json!({ "version": office.config().await.version().version.as_str() })),
        "jamulusserver/getRecorderStatus" => Ok(recorder_status(office)),
        "jamulusserver/getClients" => clients(office).await,
        "jamulusserver/getServerProfile" => Ok(profile(office).await),
        "jamulusserver/setServerName" => {
            let name = request.text("serverName")?;
            office.reconfigure(|config| config.name(name)).await.map_err(failed)?;
            Ok("ok".into())
        }
        "jamulusserver/setWelcomeMessage" => {
            let text = request.text("welcomeMessage")?;
            office.reconfigure(|config| config.welcome(text)).await.map_err(failed)?;
            Ok("ok".into())
        }
        "jamulusserver/setRecordingDirectory" => {
            let directory = request.text("recordingDirectory")?;
            let directory = (!directory.is_empty()).then(|| absolute(directory));
            record(office, RecorderOrder::SetDirectory(directory)).await
        }
        "jamulusserver/startRecording" => record(office, RecorderOrder::SetEnabled(true)).await,
        "jamulusserver/stopRecording" => record(office, RecorderOrder::SetEnabled(false)).await,
        "jamulusserver/restartRecording" => record(office, RecorderOrder::Restart).await,
        "jamulusserver/setDirectory" => set_directory(request, office).await,
        "jamulusserver/broadcastChatMessage" => broadcast(request, office).await,
        "jamulusserver/privateChatMessage" => private_chat(request, office).await,
        _ => Err(Refusal::new(METHOD_NOT_FOUND, "Method not found")),
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(INTERNAL_ERROR, format!("Internal error: {error}"))
}

/// A text that the server refuses, or a server that cannot be reached.
fn order_failed(parameter: &str, error: OrderError) -> Refusal {
    match error {
        OrderError::Refused(error) => Refusal::parameter(&format!("{parameter}: {error}")),
        error => failed(error),
    }
}

fn recorder_status(office: &Office) -> Value {
    let status = office.recorder().status();
    // As shipped servers do: a directory that cannot be used is only in the message about it.
    let directory = status.directory.filter(|_| status.state != RecorderState::NotInitialised);
    json!({
        "enabled": status.state == RecorderState::Recording,
        "errorMessage": status.error,
        "initialised": status.state != RecorderState::NotInitialised,
        "recordingDirectory": directory.map(|d| d.display().to_string()).unwrap_or_default(),
    })
}

async fn record(office: &Office, order: RecorderOrder) -> Outcome {
    office.recorder().order(order).await.map_err(failed)?;
    Ok("acknowledged".into())
}

async fn clients(office: &Office) -> Outcome {
    let musicians = office.musicians().await.map_err(failed)?;
    let clients: Vec<Value> = musicians.iter().map(client).collect();
    Ok(json!({ "clients": clients, "connections": musicians.len() }))
}

fn client(musician: &MusicianInfo) -> Value {
    let channels = match musician.layout {
        Some(Layout::Stereo) => 2,
        // Shipped servers count one before the musician has told.
        _ => 1,
    };
    json!({
        "id": musician.channel.number(),
        "address": musician.addr.to_string(),
        "name": musician.info.name.as_str(),
        "jitterBufferSize": musician.jitter_blocks.unwrap_or_default(),
        "channels": channels,
        "city": musician.info.city.as_str(),
        "countryName": super::countries::name(musician.info.country),
        "instrumentCode": musician.info.instrument.0,
        "skillLevelCode": musician.info.skill.0,
    })
}

async fn profile(office: &Office) -> Value {
    let config = office.config().await;
    let (directory, status) = office.listing();
    // Programs of all versions find the directory under the name they know.
    let address = directory.as_ref().map(DirectoryChoice::to_string).unwrap_or_default();
    json!({
        "name": config.name().as_str(),
        "city": config.city().as_str(),
        "countryId": config.country().0,
        "welcomeMessage": config.welcome(),
        "registrationStatus": status.rpc_name(),
        "directory": address,
        "directoryServer": address,
        "directoryAddress": address,
        "directoryType": directory.as_ref().map_or("none", DirectoryChoice::rpc_name),
    })
}

async fn set_directory(request: &Request<'_>, office: &Office) -> Outcome {
    let choice = match request.text("directoryType")? {
        "none" => None,
        "custom" => {
            let text = request.text("directoryAddress")?;
            Some(text.parse().map_err(|e: String| Refusal::parameter(&format!("directoryAddress: {e}")))?)
        }
        genre => Some(DirectoryChoice::of_genre(genre)),
    };
    office.register_with(choice).await.map_err(failed)?;
    Ok("ok".into())
}

async fn broadcast(request: &Request<'_>, office: &Office) -> Outcome {
    let text = request.text("chatMessage")?;
    let done = office.command(Command::Broadcast(text.to_owned())).await;
    done.map_err(|e| order_failed("chatMessage", e))?;
    office.tell(&chat(-1, text));
    Ok("ok".into())
}

async fn private_chat(request: &Request<'_>, office: &Office) -> Outcome {
    let text = request.text("chatMessage")?;
    if !(1..=PRIVATE_UNITS_MAX).contains(&text.encode_utf16().count()) {
        return Err(Refusal::parameter(&format!("chatMessage has not 1 to {PRIVATE_UNITS_MAX} characters")));
    }
    let Some(number) = request.params.get("id").and_then(Value::as_i64) else {
        return Err(Refusal::parameter("id is not a number"));
    };
    let channel = u8::try_from(number).ok().and_then(ChannelId::new).ok_or(NO_CHANNEL)?;
    let command = Command::PrivateChat { channel, text: text.to_owned() };
    match office.command(command).await {
        Ok(()) => Ok("ok".into()),
        Err(OrderError::Refused(jam_proto::CommandError::NoSuchChannel(_))) => Err(NO_CHANNEL),
        Err(error) => Err(order_failed("chatMessage", error)),
    }
}

const NO_CHANNEL: Refusal = Refusal::Text("invalid channel ID");

/// The notification about a chat line; `id` is −1 for lines from here.
pub(crate) fn chat(id: i64, line: &str) -> String {
    notification("jamulusserver/chatMessageReceived", json!({ "id": id, "chatMessage": line }))
}
