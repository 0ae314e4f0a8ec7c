//! The way back from Orthanc by its REST API: which instances a series has, and each as a file. What becomes of them is the
//! caller's.

use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use super::orthanc::Found;
use super::web::Web;
use super::{Delivery, DeliveryError, Object};
use crate::config::{Destination, DestinationKind};
use crate::dicom::{AeTitle, Uid};

/// A series as Orthanc holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub series: Uid,
    /// Orthanc's own ids of the instances.
    pub instances: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    instances: Vec<String>,
    main_dicom_tags: MainTags,
}

#[derive(Debug, Deserialize)]
struct MainTags {
    #[serde(rename = "SeriesInstanceUID")]
    series: Uid,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct System {
    dicom_aet: String,
}

/// An Orthanc that is asked for what it holds.
pub struct Puller<'a>(Web<'a>);

impl Delivery {
    /// `None`: the destination is no Orthanc.
    pub async fn puller<'a>(&self, from: &'a Destination) -> Result<Option<Puller<'a>>, DeliveryError> {
        let DestinationKind::Orthanc(peer) = &from.kind else { return Ok(None) };
        Ok(Some(Puller(Web::new(&self.http, &peer.at, from.timeout).await?)))
    }
}

impl Puller<'_> {
    /// Its AE title.
    pub async fn title(&self) -> Result<AeTitle, DeliveryError> {
        let system: System = self.read(Method::GET, "/system", String::new()).await?.ok_or_else(|| self.lacks())?;
        AeTitle::parse(&system.dicom_aet).map_err(|error| self.broken(&error))
    }

    /// A series by its UID or by Orthanc's id; `None`: Orthanc has none of that name.
    pub async fn series(&self, name: &str) -> Result<Option<Held>, DeliveryError> {
        let found: Vec<Found> =
            self.read(Method::POST, "/tools/lookup", name.to_owned()).await?.ok_or_else(|| self.lacks())?;
        let by_uid = found.into_iter().find(|resource| resource.r#type == "Series").map(|resource| resource.id);
        let id = by_uid.unwrap_or_else(|| name.to_owned());
        // only such an id becomes part of a path
        if !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Ok(None);
        }
        let held: Option<Series> = self.read(Method::GET, &format!("/series/{id}"), String::new()).await?;
        Ok(held.map(|held| Held { series: held.main_dicom_tags.series, instances: held.instances }))
    }

    /// One of [`Held::instances`].
    pub async fn instance(&self, id: &str) -> Result<Object, DeliveryError> {
        let request = self.0.request(Method::GET, &format!("/instances/{id}/file"));
        let response = self.0.send(request, "GET of an instance").await?;
        if response.status() != StatusCode::OK {
            return Err(self.0.refused(response.status()));
        }
        let bytes = response.bytes().await.map_err(|error| self.broken(&error))?;
        Object::from_part10(id, bytes.to_vec())
    }

    /// What a request is answered with as JSON; `None` for 404.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Option<T>, DeliveryError> {
        let response: Response = self.0.send(self.0.request(method, path).body(body), "request to Orthanc").await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(self.0.refused(other)),
        }
        let text = self.0.text(response, "request to Orthanc").await?;
        serde_json::from_str(&text).map(Some).map_err(|error| self.broken(&error))
    }

    fn lacks(&self) -> DeliveryError {
        self.0.refused(StatusCode::NOT_FOUND)
    }

    fn broken(&self, reason: &dyn std::fmt::Display) -> DeliveryError {
        DeliveryError::Protocol { peer: self.0.url().to_owned(), reason: reason.to_string() }
    }
}
