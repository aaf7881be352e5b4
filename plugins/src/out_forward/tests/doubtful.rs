//! Chunks whose ack is not read.

use super::*;

/// A chunk that the first of two servers gets first, and what came of it.
async fn doubtful(output: &Forward, first: &Fake) -> (Chunk, Option<WriteError>) {
    loop {
        let (chunk, before) = (chunk(1), first.messages());
        let outcome = output.write(&chunk).await;
        if first.messages() > before {
            return (chunk, outcome.err());
        }
    }
}

fn is_held(error: Option<&WriteError>) -> bool {
    matches!(error, Some(WriteError::Later { message, .. }) if message.contains("doubt_wait"))
}

#[tokio::test]
async fn a_chunk_that_a_server_may_have_goes_to_no_other() {
    let (deaf, well) = (Fake::start(Answer::Close).await, Fake::start(Answer::Ack).await);
    let parameters = format!(
        "require_ack_response true\nheartbeat_type none\n{}\n{}",
        server(deaf.address.port()),
        server(well.address.port())
    );
    let output = output(&parameters).await;
    let (chunk, error) = doubtful(&output, &deaf).await;
    assert!(is_held(error.as_ref()), "{error:?}");
    let (asked, others) = (deaf.messages(), well.messages());
    for again in 1..=5 {
        assert!(is_held(output.write(&chunk).await.err().as_ref()));
        assert_eq!((deaf.messages(), well.messages()), (asked + again, others));
    }
    // One that could not be sent is in no doubt.
    let port = deaf.address.port();
    drop(deaf);
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..5 {
        output.write(&super::chunk(1)).await.unwrap();
    }
    assert!(is_held(output.write(&chunk).await.err().as_ref()));
}

#[tokio::test]
async fn doubt_wait_limits_the_wait() {
    let (deaf, well) = (Fake::start(Answer::Close).await, Fake::start(Answer::Ack).await);
    let servers = format!("{}\n{}", server(deaf.address.port()), server(well.address.port()));
    let common = "require_ack_response true\nheartbeat_interval 1h";
    let like_fluentd = output(&format!("{common}\ndoubt_wait 0\n{servers}")).await;
    let (_, error) = doubtful(&like_fluentd, &deaf).await;
    assert!(error.is_none(), "the other has it: {error:?}");
    let patient = output(&format!("{common}\ndoubt_wait 1s\n{servers}")).await;
    let (chunk, error) = doubtful(&patient, &deaf).await;
    assert!(is_held(error.as_ref()), "{error:?}");
    let others = well.messages();
    tokio::time::sleep(Duration::from_millis(1010)).await;
    patient.write(&chunk).await.unwrap();
    assert_eq!(well.messages(), others + 1);
    like_fluentd.shutdown().await;
    patient.shutdown().await;
}

#[tokio::test]
async fn a_chunk_in_a_file_has_the_same_first_server_after_a_restart() {
    let (a, b) = (Fake::start(Answer::Ack).await, Fake::start(Answer::Ack).await);
    let parameters = format!(
        "require_ack_response true\nheartbeat_type none\n{}\n{}",
        server(a.address.port()),
        server(b.address.port())
    );
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let (_buffer, chunk) = file_chunk(dir.path(), &[ENTRY.to_vec()], 1);
        let before = a.messages();
        output(&parameters).await.write(&chunk).await.unwrap();
        let to_a = a.messages() - before;
        for _ in 0..3 {
            let before = a.messages();
            output(&parameters).await.write(&chunk).await.unwrap();
            assert_eq!(a.messages() - before, to_a);
        }
    }
}

/// An address behind which there are several servers, each for every other connection.
async fn balanced(ports: Vec<u16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for server in ports.iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut upstream = TcpStream::connect(("127.0.0.1", *server)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
        }
    });
    port
}

#[tokio::test]
async fn behind_one_address_the_server_that_may_have_the_chunk_is_looked_for() {
    let security = |name: &str| format!("<security>\nself_hostname {name}\nshared_key key\n</security>");
    let receivers = [Receiver::start(&security("one")).await, Receiver::start(&security("two")).await];
    let port = balanced(receivers.iter().map(|receiver| receiver.port).collect()).await;
    for keepalive in [false, true] {
        let parameters = format!(
            "require_ack_response true\nack_response_timeout 1s\nheartbeat_type none\nkeepalive {keepalive}\n{}\n{}",
            security("agent"),
            server(port)
        );
        let output = output(&parameters).await;
        let before: usize = receivers.iter().map(|receiver| receiver.sink.events().len()).sum();
        receivers.iter().for_each(|receiver| receiver.sink.behave(Behaviour::HoldCommits));
        let chunks: Vec<Chunk> = (0..3).map(|_| chunk(2)).collect();
        for chunk in &chunks {
            assert!(output.write(chunk).await.is_err());
        }
        receivers.iter().for_each(|receiver| receiver.sink.behave(Behaviour::Take));
        for chunk in &chunks {
            output.write(chunk).await.unwrap();
        }
        let after: usize = receivers.iter().map(|receiver| receiver.sink.events().len()).sum();
        assert_eq!(after - before, 6, "keepalive {keepalive}");
    }
    for receiver in receivers {
        receiver.pipeline.stop().await;
    }
}
