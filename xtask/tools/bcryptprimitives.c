/* Wine 8 has no bcryptprimitives.dll, from which Rust's standard library takes random bytes: a program does not even
 * start. This one is for tests under such a Wine, and is never shipped. */
#include <windows.h>

/* RtlGenRandom, by the name under which advapi32 exports it. */
BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length)
{
    const SIZE_T most = 1 << 20;
    for (SIZE_T done = 0; done < length; done += most) {
        SIZE_T piece = length - done < most ? length - done : most;
        if (!SystemFunction036(bytes + done, (ULONG)piece))
            return FALSE;
    }
    return TRUE;
}
