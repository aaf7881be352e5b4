//! Which container a record comes from: out of its tag, or out of fields that it has already.

use logweir_engine::msgpack::{RecordView, ValueRef};
use logweir_engine::regexp::Regexp;

/// A container, as a tag or a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) namespace: Box<str>,
    pub(super) pod: Box<str>,
    pub(super) container: Box<str>,
    /// The pod's uid where the tag has it (`/var/log/pods`), else the container's id.
    pub(super) key: Option<Box<str>>,
    /// The container's id.
    pub(super) container_id: Option<Box<str>>,
}

/// A container as a record names it, without a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    id: &'a str,
}

/// Longer than any name of Kubernetes, which ends at 253 characters.
const NAME_BYTES_MAX: usize = 253;

impl Identity {
    /// Out of a tag, by the groups of tag_to_kubernetes_name_regexp.
    pub(super) fn of_tag(regexp: &Regexp, tag: &str) -> Option<Self> {
        let captures = regexp.captures(tag.as_bytes())?;
        let group = |name: &str| captures.name(name).map(|bytes| Box::from(String::from_utf8_lossy(bytes)));
        let container_id: Option<Box<str>> = group("docker_id");
        Some(Self {
            namespace: group("namespace")?,
            pod: group("pod_name")?,
            container: group("container_name")?,
            key: group("pod_uuid").or_else(|| container_id.clone()),
            container_id,
        })
    }

    /// Whether its names can be names of Kubernetes. The API server is not asked for others, and they are not remembered:
    /// tags and records come from outside.
    pub(super) fn is_plausible(&self) -> bool {
        is_name(&self.namespace)
            && is_name(&self.pod)
            && self.container.len() <= NAME_BYTES_MAX
            && self.key.as_ref().is_none_or(|key| key.len() <= NAME_BYTES_MAX)
            && self.container_id.as_ref().is_none_or(|id| id.len() <= NAME_BYTES_MAX)
    }
}

impl<'a> Names<'a> {
    /// Out of the fields that this filter sets, if a record has them from elsewhere.
    pub(super) fn of_fields(record: &'a [u8]) -> Option<Self> {
        let record = RecordView::new(record);
        let docker = RecordView::new(record.get(b"docker")?);
        let kubernetes = RecordView::new(record.get(b"kubernetes")?);
        Some(Self {
            namespace: text(kubernetes.get(b"namespace_name")?)?,
            pod: text(kubernetes.get(b"pod_name")?)?,
            container: text(kubernetes.get(b"container_name")?)?,
            id: text(docker.get(b"container_id")?)?,
        })
    }

    /// Out of the fields of Docker's journald driver, by the groups of container_name_to_kubernetes_regexp.
    pub(super) fn of_journal(regexp: &Regexp, record: &'a [u8]) -> Option<Self> {
        let record = RecordView::new(record);
        let id = text(record.get(b"CONTAINER_ID_FULL")?)?;
        let name = text(record.get(b"CONTAINER_NAME")?)?;
        let captures = regexp.captures(name.as_bytes())?;
        let group = |name: &str| captures.name(name).and_then(|bytes| std::str::from_utf8(bytes).ok());
        Some(Self {
            namespace: group("namespace")?,
            pod: group("pod_name")?,
            container: group("container_name")?,
            id,
        })
    }

    /// Whether they name this container.
    pub(super) fn are_of(&self, identity: &Identity) -> bool {
        *identity.namespace == *self.namespace
            && *identity.pod == *self.pod
            && *identity.container == *self.container
            && identity.key.as_deref() == Some(self.id)
            && identity.container_id.as_deref() == Some(self.id)
    }

    pub(super) fn to_identity(self) -> Identity {
        Identity {
            namespace: self.namespace.into(),
            pod: self.pod.into(),
            container: self.container.into(),
            key: Some(self.id.into()),
            container_id: Some(self.id.into()),
        }
    }
}

/// Characters that a name of Kubernetes may have, which are also those that need no quoting in a URL.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn text(raw: &[u8]) -> Option<&str> {
    match ValueRef::read(raw) {
        Ok(ValueRef::Str(bytes) | ValueRef::Bin(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{JOURNAL_REGEXP, TAG_REGEXP};
    use super::*;
    use logweir_engine::json::{ReadOptions, to_msgpack};
    use logweir_engine::regexp::RegexpFlags;

    const ID: &str = "49095a2894da899d3b327c5fde1e056a81376cc9a8f8b09a195f2a92bceed459";

    fn regexp(source: &str) -> Regexp {
        Regexp::new(source, RegexpFlags::default()).unwrap()
    }

    fn raw(json: &str) -> Vec<u8> {
        let mut raw = Vec::new();
        to_msgpack(json.as_bytes(), &mut raw, ReadOptions::default()).unwrap();
        raw
    }

    fn shown(identity: Option<Identity>) -> String {
        let Some(Identity { namespace, pod, container, key, container_id }) = identity else {
            return "nothing".to_owned();
        };
        let [key, id] = [key, container_id].map(|text| text.unwrap_or_default().replace(ID, "ID"));
        format!("{namespace}/{pod}/{container} {key} {id}")
    }

    #[test]
    fn names_of_files() {
        let of = |tag: &str| shown(Identity::of_tag(&regexp(TAG_REGEXP), &tag.replace("ID", ID)));
        assert_eq!(of("kubernetes.var.log.containers.web-0_shop_app-ID.log"), "shop/web-0/app ID ID");
        assert_eq!(
            of("x.tmp.root.var.log.containers.web.v1-abc_shop_app-2-ID.log"),
            "shop/web.v1-abc/app-2 ID ID"
        );
        assert_eq!(
            of("kubernetes.var.log.pods.shop_web-0_c76927af-f563-11e4-b32d-54ee7527188d.app.0.log"),
            "shop/web-0/app c76927af-f563-11e4-b32d-54ee7527188d "
        );
        for other in
            ["kubernetes.var.log.containers.web-0_shop_app.log", "app", "var.log.containers.A_b_c-ID.log"]
        {
            assert_eq!(of(other), "nothing");
        }
    }

    #[test]
    fn fields_of_a_record() {
        let of = |json: &str| shown(Names::of_fields(&raw(json)).map(Names::to_identity));
        let whole = r#"{"docker":{"container_id":"id"},"kubernetes":{"namespace_name":"n","pod_name":"p","container_name":"c"}}"#;
        assert_eq!(of(whole), "n/p/c id id");
        for lacking in
            ["container_id", "namespace_name", "pod_name", "container_name", "docker", "kubernetes"]
        {
            assert_eq!(of(&whole.replace(lacking, "x")), "nothing");
        }
        assert_eq!(of(&whole.replace("\"p\"", "5")), "nothing");
        assert_eq!(of(r#"{"docker":"container_id","kubernetes":[]}"#), "nothing");
        assert_eq!(shown(Names::of_fields(&[0x93, 1, 2, 3]).map(Names::to_identity)), "nothing");
    }

    #[test]
    fn fields_of_the_journal() {
        let of = |name: &str| {
            let record = raw(&format!(r#"{{"CONTAINER_NAME":"{name}","CONTAINER_ID_FULL":"id"}}"#));
            shown(Names::of_journal(&regexp(JOURNAL_REGEXP), &record).map(Names::to_identity))
        };
        assert_eq!(of("k8s_app.2a3b_web-0_shop_c76927af_d4a1"), "shop/web-0/app id id");
        assert_eq!(of("k8s_app_web-0_shop_c76927af_0"), "shop/web-0/app id id");
        assert_eq!(of("registry"), "nothing");
        let lacking = raw(r#"{"CONTAINER_NAME":"k8s_a_b_c_d_e"}"#);
        assert!(Names::of_journal(&regexp(JOURNAL_REGEXP), &lacking).is_none());
    }

    #[test]
    fn what_can_be_asked_for() {
        let identity = |namespace: &str, pod: &str| Identity {
            namespace: namespace.into(),
            pod: pod.into(),
            container: "c".into(),
            key: None,
            container_id: None,
        };
        assert!(identity("kube-system", "etcd-node1.example").is_plausible());
        let long = "x".repeat(254);
        for (namespace, pod) in [
            ("", "p"),
            ("n", ""),
            ("n", ".."),
            ("n/pods", "p"),
            ("n", "p?watch=1"),
            ("n", "p%2f"),
            (&long, "p"),
        ] {
            assert!(!identity(namespace, pod).is_plausible(), "{namespace} {pod}");
        }
        let endless = Identity { container: "x".repeat(300).into(), ..identity("n", "p") };
        assert!(!endless.is_plausible());
    }
}
