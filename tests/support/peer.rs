//! Another client, which shares no code with ours.

use super::{LIMIT, wait_until};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A client that speaks MQTT 5 and takes everything on the topics that it listens to.
pub struct Peer {
    client: Client,
    messages: Receiver<(Instant, Publish)>,
    subscribed: Arc<Mutex<usize>>,
}

impl Peer {
    /// Connects; it ends with the broker.
    pub fn connect(broker: SocketAddr, id: &str) -> Self {
        let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(60)).set_max_packet_size(Some(8 << 20));
        let (client, mut connection) = Client::new(options, 1000);
        let (to, messages) = channel();
        let subscribed = Arc::new(Mutex::new(0));
        let count = subscribed.clone();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        if to.send((Instant::now(), publish)).is_err() {
                            return;
                        }
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => *count.lock().unwrap() += 1,
                    Ok(_) => (),
                    Err(_) => return,
                }
            }
        });
        Self { client, messages, subscribed }
    }

    /// Listens, and returns when the broker has agreed.
    pub fn listen(&self, filter: &str) {
        self.subscribe(Filter::new(filter, QoS::AtLeastOnce));
    }

    /// The same, but messages arrive with the quality of service and the retained flag that they were published with.
    pub fn listen_as_published(&self, filter: &str) {
        self.subscribe(Filter { preserve_retain: true, ..Filter::new(filter, QoS::ExactlyOnce) });
    }

    fn subscribe(&self, filter: Filter) {
        let before = *self.subscribed.lock().unwrap();
        self.client.subscribe_many([filter]).unwrap();
        wait_until("the peer has subscribed", || *self.subscribed.lock().unwrap() > before);
    }

    /// The messages that have arrived and were not taken yet, and when they did.
    pub fn arrived(&self) -> impl Iterator<Item = (Instant, Publish)> + '_ {
        self.messages.try_iter()
    }

    /// The next message: topic, payload, whether it is a retained one.
    #[track_caller]
    pub fn next(&self) -> (String, String, bool) {
        let message = self.next_whole();
        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
        (topic, String::from_utf8(message.payload.to_vec()).unwrap(), message.retain)
    }

    /// The next message with all there is to it.
    #[track_caller]
    pub fn next_whole(&self) -> Publish {
        self.messages.recv_timeout(LIMIT).expect("a message").1
    }

    /// Publishes with QoS 1.
    pub fn publish(&self, topic: &str, payload: &str, retained: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retained, payload.to_owned()).unwrap();
    }

    /// Publishes whatever there is, with any quality of service.
    pub fn publish_as(&self, topic: &str, payload: &[u8], qos: QoS) {
        self.client.publish(topic, qos, false, payload.to_vec()).unwrap();
    }

    /// Publishes a request: with a response topic and correlation data.
    pub fn request(&self, topic: &str, payload: &str, response: &str, correlation: &'static [u8]) {
        let properties = PublishProperties {
            response_topic: Some(response.to_owned()),
            correlation_data: Some(correlation.into()),
            ..PublishProperties::default()
        };
        self.client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload.to_owned(), properties).unwrap();
    }
}
