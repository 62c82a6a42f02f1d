//! Counts the resources of one instantiation of a component. The component can instantiate an inner
//! module many times, or never.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Instance,
    Payload,
};

/// How many inner modules, and how many inner components, the count covers. Wasmtime refuses a
/// component with more.
const ITEMS_MAX: usize = 1_000;

/// The resources of one instantiation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) component_instances: u32,
    pub(super) core_instances: u32,
    pub(super) memories: u32,
    pub(super) tables: u32,
    pub(super) memory_bytes_min: u64,
}

impl Needs {
    fn add(&mut self, other: Self) {
        self.component_instances = self.component_instances.saturating_add(other.component_instances);
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.tables = self.tables.saturating_add(other.tables);
        self.memory_bytes_min = self.memory_bytes_min.saturating_add(other.memory_bytes_min);
    }
}

/// Counts from the sections of a component, in the order of the file.
///
/// An imported module or component counts as zero, and so does one that an instance exports. So the
/// count can be too low, and every user of the count has to refuse a module that needs more.
#[derive(Debug, Default)]
pub(super) struct Counter {
    outermost: Level,
    /// The modules and components that enclose the current section, inside the outermost one.
    nested: Vec<Level>,
}

/// A module, or a component with the modules and components that it can instantiate, by index.
#[derive(Debug, Default)]
struct Level {
    is_module: bool,
    needs: Needs,
    modules: Items,
    components: Items,
}

impl Counter {
    /// How many modules and components enclose the current section, without the outermost one.
    pub(super) fn depth(&self) -> usize {
        self.nested.len()
    }

    /// The needs of the outermost component, complete after its last section.
    pub(super) fn needs(&self) -> Needs {
        self.outermost.needs
    }

    /// Counts the next section.
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ModuleSection { .. } => self.enter(true),
            Payload::ComponentSection { .. } => self.enter(false),
            Payload::End(_) => self.leave(),
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let page_bytes = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    self.level().needs.add(Needs {
                        memories: 1,
                        memory_bytes_min: memory.initial.saturating_mul(page_bytes),
                        ..Needs::default()
                    });
                }
            }
            Payload::TableSection(section) => self.level().needs.add(Needs {
                tables: section.count(),
                ..Needs::default()
            }),
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        let mut needs = self.level().modules.get(module_index);
                        needs.core_instances = 1;
                        self.level().needs.add(needs);
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        let mut needs = self.level().components.get(component_index);
                        needs.component_instances = needs.component_instances.saturating_add(1);
                        self.level().needs.add(needs);
                    }
                }
            }
            payload => self.read_names(payload)?,
        }
        Ok(())
    }

    /// Counts imports, aliases and exports, each of which adds one index of a module or component.
    fn read_names(&mut self, payload: &Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.level().modules.push(Needs::default()),
                        ComponentTypeRef::Component(_) => self.level().components.push(Needs::default()),
                        _ => {}
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let level = self.level();
                    match export.kind {
                        ComponentExternalKind::Module => level.modules.export(export.index),
                        ComponentExternalKind::Component => level.components.export(export.index),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match *alias {
            ComponentAlias::InstanceExport { kind, .. } => match kind {
                ComponentExternalKind::Module => self.level().modules.push(Needs::default()),
                ComponentExternalKind::Component => self.level().components.push(Needs::default()),
                _ => {}
            },
            ComponentAlias::Outer { kind, count, index } => match kind {
                ComponentOuterAliasKind::CoreModule => {
                    let needs = self.outer(count).map(|outer| outer.modules.get(index));
                    self.level().modules.push(needs.unwrap_or_default());
                }
                ComponentOuterAliasKind::Component => {
                    let needs = self.outer(count).map(|outer| outer.components.get(index));
                    self.level().components.push(needs.unwrap_or_default());
                }
                ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
            },
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
    }

    fn enter(&mut self, is_module: bool) {
        self.nested.push(Level {
            is_module,
            ..Level::default()
        });
    }

    fn leave(&mut self) {
        let Some(left) = self.nested.pop() else { return };
        let around = self.level();
        let items = if left.is_module {
            &mut around.modules
        } else {
            &mut around.components
        };
        items.push(left.needs);
    }

    /// The innermost module or component.
    fn level(&mut self) -> &mut Level {
        self.nested.last_mut().unwrap_or(&mut self.outermost)
    }

    /// The component that is `count` levels outside the innermost one.
    fn outer(&self, count: u32) -> Option<&Level> {
        let count = usize::try_from(count).ok()?;
        std::iter::once(&self.outermost).chain(&self.nested).rev().nth(count)
    }
}

/// An index space of modules or components.
#[derive(Debug, Default)]
struct Items(Vec<Needs>);

impl Items {
    fn get(&self, index: u32) -> Needs {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.0.get(index).copied().unwrap_or_default()
    }

    fn push(&mut self, needs: Needs) {
        if self.0.len() < ITEMS_MAX {
            self.0.push(needs);
        }
    }

    /// Gives an item of this space one more index.
    fn export(&mut self, index: u32) {
        self.push(self.get(index));
    }
}
