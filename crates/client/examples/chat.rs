//! A chat in the terminal: `cargo run -p nuncio-client --example chat -- ws://127.0.0.1:8080/ws?token=… lobby`.

use nuncio_client::model::{Json, RoomName};
use nuncio_client::{Client, Config, Event, JoinFrom};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "that is what a chat is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(url), Some(room)) = (words.next(), words.next()) else {
        return Err("usage: chat URL ROOM".into());
    };
    let room = RoomName::parse(&room)?;
    let (client, mut events) = Client::start(Config::new(url));
    let joined = client.join(&room, JoinFrom::History(20)).await?;
    println!("{} here", joined.members);
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => {
                    // In a task of its own: offline it waits, and what happens is shown meanwhile.
                    let (client, room) = (client.clone(), room.clone());
                    tokio::spawn(async move { client.publish(&room, Json::of(&line)).await });
                }
                None => client.close().await?,
            },
            event = events.next() => match event {
                Some(Event::Message(message)) => println!("{:?}: {:?}", message.user, message.content),
                Some(Event::Gap { .. }) => println!("(some messages are missing)"),
                Some(Event::Ended(reason)) => println!("{reason}"),
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}
