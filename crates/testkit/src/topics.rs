//! Topics of a broker: made, looked at, written to from outside.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::kafka::Kafka;
use crate::waiting::wait;

const TIMEOUT: Duration = Duration::from_secs(10);

impl Kafka {
    /// A client's configuration for the plain listener.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// Makes a topic with properties such as `("cleanup.policy", "compact")`.
    pub fn create_topic(&self, name: &str, partitions: i32, properties: &[(&str, &str)]) -> Result<()> {
        let admin = self.admin()?;
        let name = name.to_owned();
        let properties: Vec<(String, String)> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        wait(async move {
            let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
            for (name, value) in &properties {
                topic = topic.set(name, value);
            }
            let results = admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await?;
            let result = results.into_iter().next().context("no answer about the topic")?;
            result.map(|_| ()).map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))
        })
    }

    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let admin = self.admin()?;
        let name = name.to_owned();
        wait(async move {
            let results = admin.delete_topics(&[&name], &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await?;
            let result = results.into_iter().next().context("no answer about the topic")?;
            result.map(|_| ()).map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))
        })
    }

    /// Deletes the records of a partition that lie before an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<()> {
        let admin = self.admin()?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before))?;
        wait(async move {
            admin.delete_records(&offsets, &AdminOptions::new().operation_timeout(Some(TIMEOUT))).await?;
            Ok(())
        })
    }

    /// The names of all topics that begin with `prefix`, sorted.
    pub fn topics(&self, prefix: &str) -> Result<Vec<String>> {
        let client: BaseConsumer = self.client().create()?;
        let metadata = client.fetch_metadata(None, TIMEOUT)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        Ok(names)
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.client().create()?)
    }
}
