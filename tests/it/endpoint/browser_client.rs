use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::request::Builder;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tidings::Body;
use tidings::endpoint::browser_client;
use tower_service::Service;

async fn call(request: Builder) -> Response<Body> {
    browser_client().call(request.body(()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn browser_client_is_the_file_of_the_package() {
    let response = call(Request::get("/tidings.js")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
    let module = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(module, include_str!("../../../client/tidings.js"));
}

#[tokio::test]
async fn browser_client_with_its_tag_is_not_modified() {
    let tag = call(Request::get("/")).await.headers()[ETAG].to_str().unwrap().to_owned();
    let bare = tag.trim_matches('"');
    assert_eq!(bare.len(), 16, "{tag}");
    for held in
        [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), format!("\"{bare}-gzip\""), "*".to_owned()]
    {
        let response = call(Request::get("/").header(IF_NONE_MATCH, &held)).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{held}");
        assert_eq!(response.headers()[ETAG], tag);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    for other in ["\"other\"", "", "\"0000000000000000\""] {
        let response = call(Request::get("/").header(IF_NONE_MATCH, other)).await;
        assert_eq!(response.status(), StatusCode::OK, "{other}");
    }
}

#[tokio::test]
async fn browser_client_refuses_other_methods() {
    assert_eq!(call(Request::head("/")).await.status(), StatusCode::OK);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let response = call(Request::builder().method(method)).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}

/// The package and the crate are published together.
#[test]
fn package_has_the_version_of_the_crate() {
    let package: serde_json::Value = serde_json::from_str(include_str!("../../../client/package.json")).unwrap();
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(package["license"], env!("CARGO_PKG_LICENSE"));
}
