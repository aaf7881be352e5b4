//! The flat parameters of out_exec_filter, of which each has one meaning on the way in and one on the way out.

use super::super::{Attr, Element, RawValue};

type Names = &'static [(&'static str, &'static str)];

/// Flat names that stand for two others.
const BOTH: [(&str, [&str; 2]); 3] = [
    ("tag_key", ["in_tag_key", "out_tag_key"]),
    ("time_key", ["in_time_key", "out_time_key"]),
    ("time_format", ["in_time_format", "out_time_format"]),
];

/// Sections, with the flat names that move into them.
const SECTIONS: [(&str, Names); 4] = [
    ("inject", &[("in_tag_key", "tag_key"), ("in_time_key", "time_key"), ("in_time_format", "time_format")]),
    ("format", &[("in_format", "@type"), ("in_keys", "keys")]),
    (
        "parse",
        &[("out_format", "@type"), ("out_keys", "keys"), ("out_stream_buffer_size", "stream_buffer_size")],
    ),
    (
        "extract",
        &[("out_tag_key", "tag_key"), ("out_time_key", "time_key"), ("out_time_format", "time_format")],
    ),
];

/// Adds the sections that are not written, and says that times with a format are texts.
pub(super) fn convert(element: &mut Element, used: &mut Vec<&'static str>) {
    let flat = |name: &str| -> Option<Attr> {
        let both = BOTH.iter().find(|(_, names)| names.contains(&name)).map(|(both, _)| *both);
        both.and_then(|both| element.attr(both)).or_else(|| element.attr(name)).cloned()
    };
    let mut made = Vec::new();
    for (section, names) in SECTIONS {
        used.extend(names.iter().map(|(name, _)| *name));
        if element.sections(section).next().is_some() {
            continue;
        }
        let moved: Vec<Attr> = names
            .iter()
            .filter_map(|(name, current)| Some(Attr { name: (*current).to_owned(), ..flat(name)? }))
            .collect();
        if let Some(first) = moved.first() {
            let mut to = Element::new(section, "", first.name_span.clone());
            moved.into_iter().for_each(|attr| to.set(attr));
            made.push(to);
        }
    }
    element.elements.extend(made);
    for section in
        element.elements.iter_mut().filter(|section| matches!(&*section.name, "inject" | "extract"))
    {
        if let Some(format) = section.attr("time_format").cloned()
            && !section.has("time_type")
        {
            let text = RawValue::Text("string".to_owned());
            section.set(Attr::new("time_type", text, format.name_span, format.value_span));
        }
    }
}
