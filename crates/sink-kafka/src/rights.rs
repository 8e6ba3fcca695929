//! The rights that a pipeline needs in Kafka, for the documentation, for error texts, and for the test that tries them:
//! it grants exactly these, and takes them away one by one.

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// The one transactional id of the pipeline.
    TransactionalId,
    /// Every topic whose name begins with the prefix and a dot.
    EventTopics,
    CheckpointTopic,
    Cluster,
}

impl Resource {
    /// For people; `NAME` and `PREFIX` stand for the configuration's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TransactionalId => "transactional id `headwater-NAME`",
            Self::EventTopics => "topics that begin with `PREFIX.`",
            Self::CheckpointTopic => "the checkpoint topic",
            Self::Cluster => "the cluster",
        }
    }

    /// The words by which `kafka-acls` knows it.
    const fn arguments(self) -> &'static str {
        match self {
            Self::TransactionalId => "--transactional-id headwater-NAME",
            Self::EventTopics => "--topic PREFIX. --resource-pattern-type prefixed",
            Self::CheckpointTopic => "--topic __headwater_checkpoints",
            Self::Cluster => "--cluster",
        }
    }
}

/// Operations that are granted together, for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    pub resource: Resource,
    /// As Kafka names them.
    pub operations: &'static [&'static str],
    /// When it can be left out.
    pub only: Option<&'static str>,
    pub why: &'static str,
}

/// Every right, in the order in which a start needs them. `Describe` is in none of them: Kafka gives it to whoever may
/// read, write or create.
pub const RIGHTS: &[Right] = &[
    Right {
        resource: Resource::CheckpointTopic,
        operations: &["Read", "Write", "DescribeConfigs"],
        only: None,
        why: "the position",
    },
    Right { resource: Resource::TransactionalId, operations: &["Write"], only: None, why: "exactly-once delivery" },
    Right { resource: Resource::EventTopics, operations: &["Write"], only: None, why: "events" },
    Right {
        resource: Resource::CheckpointTopic,
        operations: &["Create"],
        only: Some("if headwater is to make it"),
        why: "the first start of the first pipeline",
    },
    Right {
        resource: Resource::EventTopics,
        operations: &["Create"],
        only: Some("if headwater is to make topics"),
        why: "tables, now and later",
    },
    Right {
        resource: Resource::EventTopics,
        operations: &["DescribeConfigs"],
        only: Some("for `headwater doctor`, and while a table is held"),
        why: "it judges their settings; a parked topic must delete nothing",
    },
    Right {
        resource: Resource::EventTopics,
        operations: &["Read"],
        only: Some("if the topics held records before the pipeline's first start, and while a table is held"),
        why: "do they hold records that another pipeline has published? parked events return to their topic",
    },
    Right {
        resource: Resource::Cluster,
        operations: &["IdempotentWrite"],
        only: Some("for brokers before 2.8"),
        why: "the idempotent producer",
    },
];

/// The table for the documentation, and the commands that grant what every pipeline needs.
pub fn markdown() -> String {
    let mut text = String::from("| resource | operations | why | when |\n|---|---|---|---|\n");
    for Right { resource, operations, only, why } in RIGHTS {
        let when = only.map_or_else(|| "always".to_owned(), |only| format!("only {only}"));
        text.push_str(&format!("| {} | {} | {why} | {when} |\n", resource.name(), operations.join(", ")));
    }
    text.push_str("\n```console\n");
    for Right { resource, operations, .. } in RIGHTS.iter().filter(|right| right.only.is_none()) {
        let operations: Vec<String> = operations.iter().map(|name| format!("--operation {name}")).collect();
        text.push_str(&format!(
            "$ kafka-acls --bootstrap-server HOST:9092 --add --allow-principal User:USER {} \\\n    {}\n",
            operations.join(" "),
            resource.arguments()
        ));
    }
    text + "```\n"
}
