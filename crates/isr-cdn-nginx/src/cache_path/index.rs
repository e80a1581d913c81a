//! Which file holds a copy of which page.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use isr_core::{PageUrl, Target};

use super::cache_file::{self, Name};
use super::folder::{self, Stamp};
use super::template::{Aim, Copy, Template};

/// nginx has at most three levels of folders.
const LEVELS: usize = 3;

/// What is in a cache's folder, by page.
///
/// It is brought up to date by looking at every folder and listing those that have changed: a file comes into the
/// cache by being renamed, which changes its folder. That is some thousand looks of a microsecond each, and needs
/// neither a watch on each folder, of which systems allow few, nor a queue that can overflow. Only files that were
/// not there before are read, and of those only the head.
#[derive(Debug)]
pub(crate) struct Index {
    root: PathBuf,
    template: Template,
    most_files: NonZeroUsize,
    /// The cache's own folder comes first.
    folders: Vec<Folder>,
    by_page: BTreeMap<(PageId, Name), usize>,
    files: usize,
    /// Whether there was no room for some file when it was last brought up to date.
    is_full: bool,
}

#[derive(Debug, Default)]
struct Folder {
    /// Where it was when it was last listed; `None` when it has to be listed again.
    stamp: Option<Stamp>,
    files: BTreeMap<Name, PageId>,
    folders: BTreeMap<CString, usize>,
    /// Names that lead to it from the cache's own folder.
    path: Vec<CString>,
}

/// A page by the hashes of what stands before its path and of its path: the upper 48 bits, and the lower 80. Two
/// that are mistaken for each other do no harm, because a file's key is read before it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PageId(u128);

/// Why a purge was not carried out, or not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The cache's folder, or something in it, cannot be read or removed.
    #[error("{path} cannot be read or changed")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    /// There are more files than the index takes.
    #[error("the cache has more than {0} files")]
    Full(NonZeroUsize),
}

/// What there is in a cache, for people.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) files: usize,
    /// Files whose key fits the template.
    pub(crate) pages: usize,
    /// A file whose key does not fit, with its key where it has one.
    pub(crate) misfit: Option<(String, Option<String>)>,
    /// Whether files can be removed.
    pub(crate) is_writable: bool,
}

impl PageId {
    /// A file whose key says nothing about a page.
    const UNKNOWN: Self = Self(0);
    const PATH_BITS: u32 = 80;

    fn of(site: &str, page: Option<&PageUrl>) -> Self {
        let path = page.map_or("", PageUrl::path_and_query);
        Self(Self::site(site) | hash(path) >> (128 - Self::PATH_BITS))
    }

    fn site(site: &str) -> u128 {
        hash(site) >> Self::PATH_BITS << Self::PATH_BITS
    }

    /// The least and the greatest of a site.
    fn all_of(site: &str) -> (Self, Self) {
        let least = Self::site(site);
        (Self(least), Self(least | ((1 << Self::PATH_BITS) - 1)))
    }
}

fn key_of(folder: &OwnedFd, name: Name) -> io::Result<Option<String>> {
    let name = CString::new(name.text()).expect("digits hold no zero byte");
    cache_file::key_of(folder, &name)
}

fn hash(text: &str) -> u128 {
    let hash = blake3::hash(text.as_bytes());
    let (bytes, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("it has 32 bytes");
    u128::from_be_bytes(*bytes)
}

/// Where in the index the copies are that something is aimed at.
fn ranges(aim: &Aim) -> Vec<(PageId, PageId)> {
    match (&aim.sites, &aim.what) {
        (None, _) => vec![(PageId(0), PageId(u128::MAX))],
        (Some(sites), Target::Url(page)) => sites
            .iter()
            .map(|site| PageId::of(site, Some(page)))
            .map(|page| (page, page))
            .collect(),
        (Some(sites), _) => sites.iter().map(|site| PageId::all_of(site)).collect(),
    }
}

impl Index {
    /// An index that knows nothing yet.
    pub(crate) fn new(root: &Path, template: Template, most_files: NonZeroUsize) -> Self {
        Self {
            root: root.to_owned(),
            template,
            most_files,
            folders: vec![Folder::default()],
            by_page: BTreeMap::new(),
            files: 0,
            is_full: false,
        }
    }

    /// Takes in everything that came into the cache before this began, and forgets what has gone.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read; what was taken in by then stays.
    pub(crate) fn refresh(&mut self) -> Result<(), Fault> {
        self.is_full = false;
        let root = self.open_root()?;
        self.visit(0, &root)
    }

    /// Removes every copy of what the targets are about, and gives their number.
    ///
    /// # Errors
    ///
    /// When a folder cannot be read, a file not be removed, or not all files are known.
    pub(crate) fn purge(&mut self, targets: &[Target]) -> Result<u64, Fault> {
        self.refresh()?;
        if self.is_full {
            return Err(Fault::Full(self.most_files));
        }
        let root = self.open_root()?;
        let aims = targets.iter().filter_map(|it| self.template.aim(it));
        // Files of a page are found by it. The rest go through whole sites, and do that together.
        let (pages, wide): (Vec<Aim>, Vec<Aim>) = aims.partition(Aim::is_page);
        let mut copies = 0;
        for page in pages {
            copies += self.remove_all(&root, &[page])?;
        }
        Ok(copies + self.remove_all(&root, &wide)?)
    }

    /// Looks what there is.
    ///
    /// # Errors
    ///
    /// As [`Index::refresh`].
    pub(crate) fn survey(&mut self) -> Result<Survey, Fault> {
        self.refresh()?;
        if self.is_full {
            return Err(Fault::Full(self.most_files));
        }
        let root = self.open_root()?;
        let mut survey = Survey {
            files: self.files,
            pages: self.files,
            is_writable: true,
            ..Survey::default()
        };
        for number in 0..self.folders.len() {
            let Some(folder) = self.reach(&root, number)? else {
                continue;
            };
            let held = &self.folders[number];
            if !held.files.is_empty() {
                let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
                let here = c".";
                survey.is_writable &=
                    rustix::fs::accessat(&folder, here, rights, rustix::fs::AtFlags::empty())
                        .is_ok();
            }
            for (name, _) in held
                .files
                .iter()
                .filter(|(_, page)| **page == PageId::UNKNOWN)
            {
                survey.pages -= 1;
                if survey.misfit.is_none() {
                    let key =
                        key_of(&folder, *name).map_err(|source| self.fault(number, source))?;
                    survey.misfit = Some((name.text(), key));
                }
            }
        }
        Ok(survey)
    }

    fn visit(&mut self, number: usize, folder: &OwnedFd) -> Result<(), Fault> {
        let fail = |source: io::Error| self.fault(number, source);
        let stamp = Stamp::settled(&rustix::fs::fstat(folder).map_err(|it| fail(it.into()))?);
        if stamp.is_none() || stamp != self.folders[number].stamp {
            self.list(number, folder)?;
            self.folders[number].stamp = stamp.filter(|_| !self.is_full);
        }
        let beneath: Vec<_> = self.folders[number].folders.clone().into_iter().collect();
        for (name, child) in beneath {
            let fail = |source: io::Error| self.fault(child, source);
            let Some(stat) = folder::look(folder, &name).map_err(fail)? else {
                self.forget(number, &name);
                continue;
            };
            let held = &self.folders[child];
            let is_same = held.stamp.is_some() && held.stamp == Stamp::settled(&stat);
            if is_same && held.folders.is_empty() {
                continue;
            }
            match folder::open(folder, &name).map_err(fail)? {
                Some(opened) => self.visit(child, &opened)?,
                None => self.forget(number, &name),
            }
        }
        Ok(())
    }

    /// Lists a folder, and reads the heads of the files that were not there before.
    fn list(&mut self, number: usize, folder: &OwnedFd) -> Result<(), Fault> {
        let listing = folder::list(folder).map_err(|source| self.fault(number, source))?;
        let held = &self.folders[number];
        let is_gone = |name: &&Name| !listing.files.contains(name);
        let gone: Vec<Name> = held.files.keys().filter(is_gone).copied().collect();
        let left: Vec<CString> = held
            .folders
            .keys()
            .filter(|name| !listing.folders.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            self.drop_file(number, name);
        }
        for name in left {
            self.forget(number, &name);
        }
        for name in listing.files {
            // What could not be read as nginx's may have been put right since.
            let known = self.folders[number].files.get(&name);
            if known.is_none_or(|page| *page == PageId::UNKNOWN) {
                self.drop_file(number, name);
                self.take(number, folder, name)?;
            }
        }
        if self.folders[number].path.len() < LEVELS {
            for name in listing.folders {
                self.take_folder(number, name);
            }
        }
        Ok(())
    }

    fn take(&mut self, number: usize, folder: &OwnedFd, name: Name) -> Result<(), Fault> {
        if self.files >= self.most_files.get() {
            self.is_full = true;
            return Ok(());
        }
        let key = key_of(folder, name).map_err(|source| self.fault(number, source))?;
        let copy = key.and_then(|key| self.template.read(&key));
        let page = copy.map_or(PageId::UNKNOWN, |copy| {
            PageId::of(&copy.site, copy.page.as_ref())
        });
        self.folders[number].files.insert(name, page);
        self.by_page.insert((page, name), number);
        self.files += 1;
        Ok(())
    }

    fn take_folder(&mut self, parent: usize, name: CString) {
        if self.folders[parent].folders.contains_key(&name) {
            return;
        }
        let mut path = self.folders[parent].path.clone();
        path.push(name.clone());
        let number = self.folders.len();
        self.folders.push(Folder {
            path,
            ..Folder::default()
        });
        self.folders[parent].folders.insert(name, number);
    }

    fn drop_file(&mut self, number: usize, name: Name) {
        if let Some(page) = self.folders[number].files.remove(&name) {
            self.by_page.remove(&(page, name));
            self.files -= 1;
        }
    }

    /// Forgets what was in a folder that is gone. The folder itself keeps its number, since it comes back with
    /// the next file.
    fn forget(&mut self, parent: usize, name: &CString) {
        let Some(number) = self.folders[parent].folders.get(name).copied() else {
            return;
        };
        self.folders[number].stamp = None;
        let files: Vec<Name> = self.folders[number].files.keys().copied().collect();
        for file in files {
            self.drop_file(number, file);
        }
        let beneath: Vec<CString> = self.folders[number].folders.keys().cloned().collect();
        for folder in beneath {
            self.forget(number, &folder);
        }
    }

    fn remove_all(&self, root: &OwnedFd, aims: &[Aim]) -> Result<u64, Fault> {
        let (mut copies, mut last) = (0, None);
        for (number, name) in self.candidates(aims) {
            // Candidates come folder by folder, so each is opened once.
            let folder = match last.take_if(|(opened, _)| *opened == number) {
                Some((_, folder)) => Some(folder),
                None => self.reach(root, number)?,
            };
            let Some(folder) = folder else {
                continue; // gone, and its files with it
            };
            let removed = self.remove(&folder, name, aims);
            copies += u64::from(removed.map_err(|source| self.fault(number, source))?);
            last = Some((number, folder));
        }
        Ok(copies)
    }

    /// Removes a file if it is a copy of what is purged, which its key says and not the index.
    fn remove(&self, folder: &OwnedFd, name: Name, aims: &[Aim]) -> io::Result<bool> {
        let Some(key) = key_of(folder, name)? else {
            return Ok(false);
        };
        let copy: Option<Copy> = self.template.read(&key);
        if !aims.iter().any(|aim| aim.concerns(copy.as_ref())) {
            return Ok(false);
        }
        // The index learns of it when it next lists the folder, which has changed by this.
        folder::remove(folder, name)
    }

    /// The files that may be copies of what is purged, by folder.
    fn candidates(&self, aims: &[Aim]) -> Vec<(usize, Name)> {
        let ranges: BTreeSet<(PageId, PageId)> = aims.iter().flat_map(ranges).collect();
        let mut candidates: Vec<(usize, Name)> = ranges
            .into_iter()
            .flat_map(|(least, most)| {
                let range = (least, Name::FIRST)..=(most, Name::LAST);
                self.by_page.range(range)
            })
            .map(|((_, name), number)| (*number, *name))
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    fn open_root(&self) -> Result<OwnedFd, Fault> {
        folder::open_root(&self.root).map_err(|source| self.fault(0, source))
    }

    /// Opens a folder by way of those above it; `None` when it is gone.
    fn reach(&self, root: &OwnedFd, number: usize) -> Result<Option<OwnedFd>, Fault> {
        let fail = |source: io::Error| self.fault(number, source);
        let mut folder = root.try_clone().map_err(fail)?;
        for name in &self.folders[number].path {
            match folder::open(&folder, name).map_err(fail)? {
                Some(opened) => folder = opened,
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    fn fault(&self, number: usize, source: io::Error) -> Fault {
        let mut path = self.root.clone();
        let names = self.folders.get(number).map(|folder| &folder.path);
        path.extend(
            names
                .into_iter()
                .flatten()
                .filter_map(|name| name.to_str().ok()),
        );
        Fault::Io {
            path: path.display().to_string(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
