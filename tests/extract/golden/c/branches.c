#ifdef __cplusplus
extern "C" {
#endif

//! Opens the device by its name.
API_EXPORT int device_open(const char *name)
{
#ifdef _WIN32
    if (name[0] == '\\') {
#else
    if (name[0] == '/') {
#endif
        return open_path(name);
    }
    return open_name(name);
}

#if 0
/** Was once used to close it. */
int device_shut(int device) { return shut(device); }
#else
/** Closes the device. */
int device_close(int device) { return close_checked(device, 1); }
#endif

#ifdef __cplusplus
}
#endif
