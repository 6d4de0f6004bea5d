/* The module longshore.native._loops. */
#include "loops.h"

static PyObject *has_hash(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(arguments)) {
    return PyBool_FromLong(hash_library() != NULL);
}

static int add_numbers(PyObject *module) {
    static const struct {
        const char *name;
        long value;
    } numbers[] = {
        {"REVISION", REVISION},     {"VERIFY", VERIFY},         {"FROM_MEDIUM", FROM_MEDIUM},
        {"KEEP_TIMES", KEEP_TIMES}, {"LOST_UID", LOST_UID},     {"LOST_GID", LOST_GID},
        {"FILES_MAXIMUM", FILES_MAXIMUM}, {"MD5_LANES", MD5_LANES},
    };
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        if (PyModule_AddIntConstant(module, numbers[index].name, numbers[index].value) != 0) {
            return -1;
        }
    }
    return 0;
}

static int module_exec(PyObject *module) {
    Loops *loops = PyModule_GetState(module);
    if (prepare_entries(loops) != 0 || add_numbers(module) != 0) {
        return -1;
    }
    loops->listing = (PyTypeObject *)PyType_FromModuleAndSpec(module, &listing_spec, NULL);
    return loops->listing == NULL ? -1 : PyModule_AddType(module, loops->listing);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    Loops *loops = PyModule_GetState(module);
    Py_VISIT(loops->entry);
    Py_VISIT(loops->listing);
    return 0;
}

static int module_clear(PyObject *module) {
    Loops *loops = PyModule_GetState(module);
    Py_CLEAR(loops->entry);
    Py_CLEAR(loops->file);
    Py_CLEAR(loops->folder);
    Py_CLEAR(loops->symlink);
    Py_CLEAR(loops->special);
    Py_CLEAR(loops->no_bytes);
    Py_CLEAR(loops->listing);
    return 0;
}

static void module_free(void *module) {
    module_clear(module);
}

static PyMethodDef module_methods[] = {
    {"has_hash", has_hash, METH_NOARGS, "has_hash(): whether files can be staged here."},
    {"read_names", read_names, METH_VARARGS,
     "read_names(folder, after, prefix, bytes): names of an opened folder from where it was read\n"
     "to, about so many bytes of them, sorted, each with a NUL; fewer at its end. Only those greater\n"
     "than after, and none that begins with the prefix."},
    {"stage", stage_files, METH_VARARGS,
     "stage(source, target, names, temporary_names, flags, size_maximum, seconds): the first files\n"
     "that could be staged, as (entry, XXH3-128, lost). The next one is for somebody else, unless\n"
     "the time is up."},
    {"publish", publish_files, METH_VARARGS,
     "publish(folder, temporary_names, names, replace): how many of the first could be renamed."},
    {"read", read_files, METH_VARARGS,
     "read(folder, names, size_maximum): the first files, as (entry, content, XXH3-128). The next\n"
     "one may be for somebody else; it is if it is the first of a call."},
    {"write", write_files, METH_VARARGS,
     "write(folder, contents, temporary_names, details, flags, unnamed_below): the first files that\n"
     "could be staged, as ([(XXH3-128, lost)], descriptors). Details are mode, uid, gid, mtime_ns\n"
     "and atime_ns. The next one is for somebody else."},
    {"compare", compare_folders, METH_VARARGS,
     "compare(source, source_folder, target, target_folder, count, resolution): the next count\n"
     "names of a listing beside another: (files that are the same in both, their bytes, the first\n"
     "and the last name of them, their entries in msgpack, XXH3-128 of what a catalogue keeps of them, [(entry, standing or None)]\n"
     "of all others, the last name, None). A name that cannot be looked at ends them and comes\n"
     "instead of None, with whether the other listing has it."},
    {"md5_together", md5_together, METH_VARARGS,
     "md5_together(*contents): the MD5 of each of up to MD5_LANES contents."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "longshore.native._loops",
    .m_doc = "Listing folders and copying small files without the interpreter.",
    .m_size = sizeof(Loops),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__loops(void) {
    return PyModuleDef_Init(&module_definition);
}
