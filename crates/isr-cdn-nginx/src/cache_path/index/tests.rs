use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use isr_core::{QueryFilter, Target};
use tempfile::TempDir;

use super::*;

/// A cache's folder, filled by hand.
struct Cache {
    folder: TempDir,
    index: Index,
}

fn cache() -> Cache {
    cache_of(1_000_000)
}

fn cache_of(most: usize) -> Cache {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    fs::create_dir(&root).unwrap();
    let template =
        Template::parse("$scheme://$host$request_uri", None, QueryFilter::default()).unwrap();
    let index = Index::new(&root, template, most.try_into().unwrap());
    Cache { folder, index }
}

impl Cache {
    fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Where nginx puts a copy with `levels=1:2`; `variant` tells those of one key apart.
    fn place(&self, key: &str, variant: u8) -> PathBuf {
        let name = format!("{:032x}", hash(key) ^ u128::from(variant));
        self.root().join(&name[31..]).join(&name[29..31]).join(name)
    }

    /// Puts a file in place as nginx does, by renaming it.
    fn put(&self, key: &str, variant: u8) -> PathBuf {
        let place = self.place(key, variant);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let temporary = place.with_extension("0000000001");
        fs::write(&temporary, cache_file::tests::head(key.as_bytes())).unwrap();
        fs::rename(&temporary, &place).unwrap();
        place
    }

    fn purge(&mut self, targets: &[Target]) -> u64 {
        self.index.purge(targets).unwrap()
    }
}

fn url(url: &str) -> Target {
    Target::Url(PageUrl::parse(url).unwrap())
}

fn prefix(url: &str) -> Target {
    Target::Prefix(PageUrl::parse(url).unwrap())
}

#[test]
fn all_variants_of_a_page_go_and_nothing_else() {
    let mut cache = cache();
    let gone = [0, 1, 2].map(|variant| cache.put("https://a.example/p", variant));
    let kept = [
        "https://a.example/p/",
        "https://a.example/p?x",
        "https://a.example/pp",
        "https://b.example/p",
    ]
    .map(|key| cache.put(key, 0));
    assert_eq!(cache.purge(&[url("https://a.example/p")]), 3);
    assert!(gone.iter().all(|path| !path.exists()));
    assert!(kept.iter().all(|path| path.exists()));
    assert_eq!(cache.purge(&[url("https://a.example/p")]), 0);
}

#[test]
fn what_comes_after_the_index_was_built_is_seen_by_the_next_purge() {
    let mut cache = cache();
    cache.put("https://a.example/first", 0);
    cache.index.refresh().unwrap();
    // Again and again within one tick of the filesystem's clock, in folders new and old.
    for round in 0..50 {
        let key = format!("https://a.example/{round}");
        cache.put(&key, 0);
        assert_eq!(cache.purge(&[url(&key)]), 1, "{key}");
        cache.put(&key, 0);
        assert_eq!(cache.purge(&[url(&key)]), 1, "{key} once more");
    }
}

#[test]
fn a_folder_that_lay_still_is_listed_again_once_it_changes() {
    let mut cache = cache();
    let place = cache.put("https://a.example/1", 0);
    // As if everything had been there for an hour.
    let hour = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let folder = place.parent().unwrap();
    fs::File::open(folder).unwrap().set_modified(hour).unwrap();
    cache.index.refresh().unwrap();
    let other = folder.join(format!("{:032x}", 7));
    fs::write(&other, cache_file::tests::head(b"https://a.example/2")).unwrap();
    assert_eq!(cache.purge(&[url("https://a.example/2")]), 1);
    assert!(!other.exists() && place.exists());
}

#[test]
fn files_that_vanish_are_no_trouble() {
    let mut cache = cache();
    let place = cache.put("https://a.example/1", 0);
    cache.put("https://a.example/2", 0);
    cache.index.refresh().unwrap();
    fs::remove_file(&place).unwrap();
    assert_eq!(cache.purge(&[url("https://a.example/1")]), 0);
    fs::remove_dir_all(cache.root()).unwrap();
    fs::create_dir(cache.root()).unwrap();
    assert_eq!(cache.purge(&[url("https://a.example/2")]), 0);
    cache.put("https://a.example/2", 0);
    assert_eq!(cache.purge(&[url("https://a.example/2")]), 1);
    fs::remove_dir_all(cache.root()).unwrap();
    assert!(matches!(
        cache.index.purge(&[url("https://a.example/2")]),
        Err(Fault::Io { .. })
    ));
}

#[test]
fn a_file_that_belongs_to_another_key_by_now_stays() {
    let mut cache = cache();
    let place = cache.put("https://a.example/1", 0);
    cache.index.refresh().unwrap();
    // nginx never does this, but the index must not be believed.
    fs::write(&place, cache_file::tests::head(b"https://a.example/2")).unwrap();
    assert_eq!(cache.purge(&[url("https://a.example/1")]), 0);
    assert!(place.exists());
}

#[test]
fn prefixes_hosts_and_everything_hold_what_they_say() {
    let keys = [
        "https://a.example/blog",
        "http://a.example/blog/1?x",
        "https://a.example/blogger",
        "https://b.example/blog",
        "not made by this template",
    ];
    let rows = [
        (prefix("https://a.example/blog"), &keys[..2]),
        (Target::Host("a.example".into()), &keys[..3]),
        (Target::Host(String::new()), &[][..]),
        (Target::Everything, &keys[..]),
    ];
    for (target, expected) in rows {
        let mut cache = cache();
        let places = keys.map(|key| cache.put(key, 0));
        assert_eq!(
            cache.purge(std::slice::from_ref(&target)),
            expected.len() as u64,
            "{target}"
        );
        for (key, place) in keys.iter().zip(places) {
            assert_eq!(
                place.exists(),
                !expected.contains(key),
                "{key} for {target}"
            );
        }
    }
}

#[test]
fn what_looks_like_everything_removes_what_it_is() {
    let mut cache = cache();
    let kept = ["/", "/b", "/b/c?x", "/a", "/A/b"]
        .map(|path| cache.put(&format!("https://a.example{path}"), 0));
    let paths = [
        "/*",
        "/%2A",
        "/**",
        "/a*",
        "/*/a",
        "/.*",
        "/a|/",
        "/^",
        "/$",
        "/(.)",
        "/?*",
        "/%2e%2e%2f",
    ];
    for path in paths {
        let page = PageUrl::parse(&format!("https://a.example{path}")).unwrap();
        let place = cache.put(page.as_str(), 0);
        assert_eq!(cache.purge(&[Target::Url(page.clone())]), 1, "{path}");
        assert!(!place.exists());
        // A prefix has no query, and that of the root is its host.
        if page.path().len() > 1 {
            let beneath = cache.put(&format!("{}/x", page.without_query()), 0);
            cache.purge(&[Target::Prefix(page.without_query())]);
            assert!(!beneath.exists(), "{path}");
        }
        assert!(kept.iter().all(|path| path.exists()), "{path}");
    }
    for host in [
        "",
        "*",
        ".*",
        "*.example",
        "a.exampl",
        "a.example/",
        "a*",
        "a.example|b",
    ] {
        assert_eq!(cache.purge(&[Target::Host(host.to_owned())]), 0, "{host:?}");
    }
    assert!(kept.iter().all(|path| path.exists()));
}

#[test]
fn only_files_of_nginx_under_the_path_are_ever_removed() {
    let mut cache = cache();
    let head = cache_file::tests::head(b"https://a.example/p");
    let outside = cache.folder.path().join("outside");
    fs::create_dir_all(outside.join("ab")).unwrap();
    let name = format!("{:032x}", 1);
    let kept = [
        outside.join("ab").join(&name),
        outside.join(&name),
        cache.root().join("notes.txt"),
        cache.root().join(format!("{name}.0000000001")),
        cache.root().join(format!("{:032x}", 2)),
        cache.root().join("lost").join(&name),
    ];
    fs::create_dir(cache.root().join("lost")).unwrap();
    for path in &kept {
        fs::write(path, &head).unwrap();
    }
    fs::write(&kept[4], "no head of nginx").unwrap();
    // A level, a level's level and a file that lead out of the cache.
    symlink(&outside, cache.root().join("a")).unwrap();
    fs::create_dir(cache.root().join("b")).unwrap();
    symlink(outside.join("ab"), cache.root().join("b/cd")).unwrap();
    symlink(&kept[1], cache.root().join(format!("{:032x}", 3))).unwrap();
    let gone = cache.put("https://a.example/p", 0);
    assert_eq!(cache.purge(&[Target::Everything]), 1);
    assert!(!gone.exists());
    assert!(kept.iter().all(|path| path.exists()));
    assert!(cache.root().join(format!("{:032x}", 3)).is_symlink());
}

#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let mut cache = cache();
    let place = cache.put("https://a.example/p", 0);
    cache.index.refresh().unwrap();
    let folder = place.parent().unwrap();
    let outside = cache.folder.path().join("outside");
    fs::rename(folder, &outside).unwrap();
    symlink(&outside, folder).unwrap();
    assert_eq!(
        cache.purge(&[url("https://a.example/p"), Target::Everything]),
        0
    );
    assert!(outside.join(place.file_name().unwrap()).exists());
}

#[test]
fn a_cache_with_more_files_than_the_index_takes_is_not_purged_by_halves() {
    let mut cache = cache_of(3);
    let places: Vec<PathBuf> = (0..4)
        .map(|n| cache.put(&format!("https://a.example/{n}"), 0))
        .collect();
    let purged = cache.index.purge(&[Target::Everything]);
    assert!(matches!(purged, Err(Fault::Full(_))), "{purged:?}");
    assert!(places.iter().all(|path| path.exists()));
    fs::remove_file(&places[0]).unwrap();
    assert_eq!(cache.purge(&[Target::Everything]), 3);
}

#[test]
fn any_number_of_levels_is_gone_through() {
    for levels in ["", "a", "a/b", "ab/c/de"] {
        let mut cache = cache();
        let folder = cache.root().join(levels);
        fs::create_dir_all(&folder).unwrap();
        let head = cache_file::tests::head(b"https://a.example/p");
        fs::write(folder.join(format!("{:032x}", 1)), head).unwrap();
        assert_eq!(cache.purge(&[url("https://a.example/p")]), 1, "{levels:?}");
    }
}

#[test]
fn a_survey_tells_files_apart_that_do_not_fit() {
    let mut cache = cache();
    let empty = Survey {
        is_writable: true,
        ..Survey::default()
    };
    assert_eq!(cache.index.survey().unwrap(), empty);
    cache.put("https://a.example/p", 0);
    cache.put("other", 0);
    let survey = cache.index.survey().unwrap();
    assert_eq!(
        (survey.files, survey.pages, survey.is_writable),
        (2, 1, true)
    );
    let (_, key) = survey.misfit.unwrap();
    assert_eq!(key.as_deref(), Some("other"));
}
