mod support;
use halyard::mqtt::*;
use std::time::{Duration, Instant};
use support::broker::Broker;
use std::io::{Read, Write};
use tokio::sync::mpsc;

fn measure(name: &str, peer: &mut std::net::TcpStream, to: &str) {
    let mut all = vec![];
    for i in 0..2000 {
        let t = Instant::now();
        let _ = i;
        let mut pk = vec![0x30, (2 + to.len() + 1) as u8, 0, to.len() as u8];
        pk.extend_from_slice(to.as_bytes()); pk.push(b'x');
        peer.write_all(&pk).unwrap();
        let mut h = [0u8; 2]; peer.read_exact(&mut h).unwrap();
        let mut b = vec![0u8; h[1] as usize]; peer.read_exact(&mut b).unwrap();
        all.push(t.elapsed());
    }
    all.sort();
    println!("{name}: median {:?} p99 {:?} max {:?}", all[1000], all[1980], all[1999]);
}

#[test]
fn latency() {
    let broker = Broker::start("set_tcp_nodelay true").unwrap();
    let url = broker.url();
    // bare paho echo
    let bare = paho_mqtt::AsyncClient::new(paho_mqtt::CreateOptionsBuilder::new().server_uri(&url).client_id("bare").mqtt_version(5u32).finalize()).unwrap();
    bare.set_message_callback(|c, m| if let Some(m) = m { c.publish(paho_mqtt::Message::new("bare/out", m.payload(), 1)); });
    bare.connect(paho_mqtt::ConnectOptionsBuilder::new_v5().server_uris(&[&url]).ssl_options(paho_mqtt::SslOptions::new()).finalize()).wait().unwrap();
    bare.subscribe("bare/in", 1).wait().unwrap();
    // rumqttc echo
    let mut o = rumqttc::v5::MqttOptions::new("rum", "127.0.0.1", broker.address().port());
    o.set_keep_alive(Duration::from_secs(60));
    let (c, mut conn) = rumqttc::v5::Client::new(o, 100);
    c.subscribe("rum/in", rumqttc::v5::mqttbytes::QoS::AtLeastOnce).unwrap();
    std::thread::spawn(move || for e in conn.iter() {
        if let Ok(rumqttc::v5::Event::Incoming(rumqttc::v5::mqttbytes::v5::Packet::Publish(p))) = e {
            c.publish("rum/out", rumqttc::v5::mqttbytes::QoS::AtLeastOnce, false, p.payload).unwrap();
        }
    });
    // ours
    let outbox = Outbox::new(Limits::default());
    let (tx, mut rx) = mpsc::channel(64);
    let client = Client::start(&Settings::new(vec![url], "ours"), "will", vec![("ours/in".into(), 1)], outbox.clone(), tx).unwrap();
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let o = outbox.clone();
    rt.spawn(async move { while let Some(e) = rx.recv().await { if let Event::Message(m) = e {
        o.send(Outgoing { topic: "ours/out".into(), payload: m.payload, qos: 1, retained: false, expiry: None, correlation: None });
    }}});
    support::wait_until("c", || outbox.status().connected);
    std::thread::sleep(Duration::from_millis(300));
    let mut peer = std::net::TcpStream::connect(broker.address()).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.write_all(b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04peer").unwrap();
    let mut b4 = [0u8; 4]; peer.read_exact(&mut b4).unwrap();
    peer.write_all(b"\x82\x0a\0\x01\0\x05+/out\0").unwrap();
    let mut b5 = [0u8; 5]; peer.read_exact(&mut b5).unwrap();
    for _ in 0..2 {
        measure("bare paho", &mut peer, "bare/in");
        measure("rumqttc", &mut peer, "rum/in");
        measure("ours", &mut peer, "ours/in");
    }
    drop(client);
}
