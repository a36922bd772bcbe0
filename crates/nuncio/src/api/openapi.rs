//! The OpenAPI 3.1 document, made of the table of routes and the types of the commands.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::{HeaderMap, Method, Response, header};
use nuncio_model::Json;
use nuncio_transport::{Body, text};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::batch::{Batch, Batched};
use super::failure::{Code, Failed};
use super::route::{self, Entry, Kind, Route};
use super::tail;
use super::{DOCUMENT, PREFIX};

/// What the document says before the commands.
const ABOUT: &str = "What a backend does on a nuncio server: publish, read, manage sessions. A key of the configuration's section `api` is sent as \
`Authorization: Bearer`. Every refusal is `{\"error\":{\"code\",\"message\"}}`; branch on the code. Unknown fields are refused.";

pub(super) fn response(_: &HeaderMap) -> Response<Body> {
    static DOCUMENT: LazyLock<Json> = LazyLock::new(|| Json::of(&document()));
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-cache");
    response
        .body(text(DOCUMENT.as_bytes().clone()))
        .expect("the headers are valid")
}

/// What each parameter of a command in a query is read as.
pub(super) fn parameter_kinds<C: JsonSchema>() -> BTreeMap<String, Kind> {
    let schema = generator().into_root_schema_for::<C>();
    let properties = properties(&schema);
    let kinds = properties.map(|(name, property)| {
        let is = |wanted| json_types(property).any(|kind| kind == wanted);
        let kind = if is("integer") {
            Kind::Number
        } else if is("array") {
            Kind::List
        } else {
            Kind::Text
        };
        (name.clone(), kind)
    });
    kinds.collect()
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut generator = generator();
    let mut paths = Map::new();
    for route in route::routes() {
        let path = paths.entry(format!("{PREFIX}{}", route.path));
        let path = path.or_insert_with(|| Value::Object(Map::new()));
        path[route.method.as_str().to_lowercase()] = operation(route, &mut generator);
    }
    let failed: Value = generator.subschema_for::<Failed>().into();
    json!({
        "openapi": "3.1.0",
        "info": { "title": "nuncio server API", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description": "A key of the section `api`." } },
            "responses": responses(&failed),
            "schemas": generator.take_definitions(true),
        },
        "externalDocs": { "url": "/api/docs", "description": format!("This document ({DOCUMENT}) to read") },
    })
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings
        .with_transform(RecursiveTransform(bound_numbers))
        .into_generator()
}

/// JSON Schema knows the formats of numbers only by their bounds. None passes 2^53-1, which every parser reads exactly.
fn bound_numbers(schema: &mut Schema) {
    let max = match schema.get("format").and_then(Value::as_str) {
        Some("uint16") => u64::from(u16::MAX),
        Some("uint32") => u64::from(u32::MAX),
        Some("uint64") => nuncio_model::CallId::NUMBER_MAX,
        Some(_) | None => return,
    };
    schema.remove("format");
    if schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), max.into());
    }
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let (request, answer, scope) = match route.entry {
        Entry::Command {
            request,
            answer,
            scope,
            ..
        } => (request(generator), answer(generator), scope.as_str()),
        Entry::Stream { request, scope } => (request(generator), tail::answer(), scope.as_str()),
        Entry::Batch => (
            generator.subschema_for::<Batch>(),
            generator.subschema_for::<Batched>(),
            "that of each command",
        ),
    };
    let media_type = match route.entry {
        Entry::Stream { .. } => "text/event-stream",
        Entry::Command { .. } | Entry::Batch => "application/json",
    };
    let form = resolved(&request, generator);
    let about = form
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "description": format!("{about}\n\nScope: `{scope}`.").trim(),
        "responses": { "200": { "description": "Done.", "content": { media_type: { "schema": answer } } } },
    });
    for status in statuses(&route.method) {
        operation["responses"][status.as_str()] =
            json!({ "$ref": format!("#/components/responses/{status}") });
    }
    if route.method == Method::GET {
        operation["parameters"] = parameters(route, &form);
    } else {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": request } } });
    }
    operation
}

/// The form behind a reference, which then is in the document only where something else refers to it too.
fn resolved(schema: &Schema, generator: &SchemaGenerator) -> Schema {
    let name = schema.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|path| path.rsplit('/').next());
    let form = name.and_then(|name| generator.definitions().get(name));
    let form = form.and_then(|form| Schema::try_from(form.clone()).ok());
    form.unwrap_or_else(|| schema.clone())
}

fn parameters(route: &Route, form: &Schema) -> Value {
    let required: Vec<&str> = form
        .get("required")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |names| {
            names.iter().filter_map(Value::as_str).collect()
        });
    let parameters = properties(form).map(|(name, property)| {
        let is_path = route.tail() == Some(name);
        let mut schema = property.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        json!({
            "name": name,
            "in": if is_path { "path" } else { "query" },
            "required": required.contains(&name.as_str()),
            "description": description,
            "schema": without_null(bounded(schema)),
        })
    });
    parameters.collect()
}

/// The bounds of numbers, which the forms behind references get only once the document is done.
fn bounded(schema: Value) -> Value {
    let Ok(mut schema) = Schema::try_from(schema) else {
        return Value::Null;
    };
    RecursiveTransform(bound_numbers).transform(&mut schema);
    schema.into()
}

/// A parameter is left out instead of being null.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(kinds)) = schema.get("type") {
        let kind = kinds.iter().find(|kind| *kind != "null").cloned();
        schema["type"] = kind.unwrap_or_default();
    }
    if let Some(Value::Array(forms)) = schema.get("anyOf") {
        let form = forms.iter().find(|form| form["type"] != "null").cloned();
        return form.unwrap_or_default();
    }
    schema
}

fn properties(schema: &Schema) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

/// The types that a value may have.
fn json_types(schema: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match &schema["type"] {
        Value::String(kind) => (Some(&**kind), None),
        Value::Array(kinds) => (None, Some(kinds.iter().filter_map(Value::as_str))),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten())
}

/// The statuses of refusals.
fn statuses(method: &Method) -> Vec<String> {
    let codes = Code::ALL.into_iter().filter(|code| match code {
        Code::Timeout | Code::RoomLimit | Code::TooLarge | Code::UnsupportedMediaType => {
            *method == Method::POST
        }
        Code::MethodNotAllowed => false,
        _ => true,
    });
    let mut statuses: Vec<_> = codes
        .map(|code| code.status().as_str().to_owned())
        .collect();
    statuses.dedup();
    statuses
}

/// One response for each status of a refusal, which names its codes.
fn responses(failed: &Value) -> Value {
    let mut responses = Map::new();
    for status in statuses(&Method::POST) {
        let codes = Code::ALL
            .into_iter()
            .filter(|code| code.status().as_str() == status);
        let codes: Vec<_> = codes.map(|code| format!("`{}`", code.as_str())).collect();
        let response = json!({
            "description": codes.join(" or "),
            "content": { "application/json": { "schema": failed } },
        });
        responses.insert(status, response);
    }
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_nothing_else() {
        let document = document();
        let mut told: Vec<_> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| format!("{method} {path}"))
            })
            .collect();
        let mut served: Vec<_> = route::routes()
            .iter()
            .map(|route| {
                format!(
                    "{} {PREFIX}{}",
                    route.method.as_str().to_lowercase(),
                    route.path
                )
            })
            .collect();

        told.sort();
        served.sort();
        assert_eq!(told, served);
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();

        let references = text.split("\"$ref\":\"#").skip(1);
        for reference in references.filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_field_and_every_form_is_described() {
        let document = document();
        for (name, form) in document["components"]["schemas"].as_object().unwrap() {
            assert!(form["description"].is_string(), "{name} is not described");
            for (field, property) in form["properties"].as_object().into_iter().flatten() {
                let is_described = property.get("description").is_some()
                    || property.get("$ref").is_some()
                    || property.get("const").is_some();
                let is_list = property["type"] == "array";
                assert!(is_described || is_list, "{name}.{field} is not described");
            }
        }
    }

    #[test]
    fn a_parameter_of_a_query_is_a_text_or_a_number() {
        let route = route::routes()
            .iter()
            .find(|route| route.name == "history")
            .unwrap();

        assert_eq!(route.parameter("before"), Some(Kind::Number));
        assert_eq!(route.parameter("roomId"), Some(Kind::Text));
        assert_eq!(route.parameter("befor"), None);
        let document = document();
        let parameters = &document["paths"]["/api/v1/history"]["get"]["parameters"];
        let limit = parameters
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "limit");
        assert_eq!(limit.unwrap()["schema"]["maximum"], u32::MAX);
        assert_eq!(Kind::Number.value("12"), 12);
        assert_eq!(Kind::Number.value("x"), "x");
        assert_eq!(Kind::Text.value("12"), "12");
    }
}
