// Recovers the senders of raw transactions from C# by P/Invoke, and checks them.
//
//     LD_LIBRARY_PATH=target/release dotnet run -c Release --project host/capi/examples/csharp FILE
//
// FILE is that of recover.c in the folder above.
using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

/// <summary>The part of lockstep.h that is needed here.</summary>
internal static unsafe class Native
{
    internal const uint AbiVersion = 2;
    internal const int Ok = 1;
    internal const uint Cpu = 1;

    [StructLayout(LayoutKind.Sequential)]
    internal struct Bytes { internal byte* Data; internal nuint Len; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct U64s { internal ulong* Data; internal nuint Len; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Items { internal Bytes All; internal U64s Offsets; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Out { internal void* Data; internal nuint Capacity; internal nuint Len; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Options { internal uint Backend; internal uint Flags; internal nuint Threads; internal Bytes Device; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Signatures { internal Items Raw; internal Bytes Hashes, R, S, Parities; internal uint Flags; }

    [StructLayout(LayoutKind.Sequential)]
    internal struct Signers { internal Out Addresses, Statuses, AuthorityOffsets, Authorities, AuthorityStatuses, Errors, ErrorOffsets; }

    [DllImport("lockstep")]
    internal static extern int lockstep_create(uint abiVersion, Options* options, ulong* handle);

    [DllImport("lockstep")]
    internal static extern int lockstep_destroy(ulong handle);

    [DllImport("lockstep")]
    internal static extern int lockstep_recover(ulong handle, Signatures* signatures, Signers* signers);

    [DllImport("lockstep")]
    internal static extern nuint lockstep_last_error(ulong handle, byte* text, nuint capacity);
}

/// <summary>An engine. Its methods may be called by any number of threads.</summary>
public sealed unsafe class Lockstep : IDisposable
{
    private readonly ulong handle;

    public Lockstep()
    {
        var options = new Native.Options { Backend = Native.Cpu };
        ulong created;
        Check(Native.lockstep_create(Native.AbiVersion, &options, &created));
        handle = created;
    }

    public void Dispose() => Native.lockstep_destroy(handle);

    /// <summary>20 bytes and a status for each of the transactions, which lie one behind the other.</summary>
    public void Recover(ReadOnlySpan<byte> raw, ReadOnlySpan<ulong> offsets, Span<byte> addresses, Span<byte> statuses)
    {
        // Pinned only while the call runs: Lockstep keeps no pointer.
        fixed (byte* first = raw, to = addresses, status = statuses)
        fixed (ulong* ends = offsets)
        {
            var signatures = new Native.Signatures();
            signatures.Raw.All = new Native.Bytes { Data = first, Len = (nuint)raw.Length };
            signatures.Raw.Offsets = new Native.U64s { Data = ends, Len = (nuint)offsets.Length };
            var signers = new Native.Signers();
            signers.Addresses = new Native.Out { Data = to, Capacity = (nuint)addresses.Length };
            signers.Statuses = new Native.Out { Data = status, Capacity = (nuint)statuses.Length };
            Check(Native.lockstep_recover(handle, &signatures, &signers));
        }
    }

    private static void Check(int code)
    {
        if (code == Native.Ok) return;
        var text = stackalloc byte[512];
        Native.lockstep_last_error(0, text, 512);
        throw new InvalidOperationException($"lockstep: code {code}: {Marshal.PtrToStringUTF8((IntPtr)text)}");
    }
}

internal static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length != 1)
        {
            Console.Error.WriteLine("usage: recover FILE");
            return 2;
        }
        var data = File.ReadAllBytes(arguments[0]);
        var count = (int)BitConverter.ToUInt64(data, 0);
        var offsets = MemoryMarshal.Cast<byte, ulong>(data.AsSpan(8, 8 * (count + 1)));
        var start = 8 + 8 * (count + 1);
        var raw = data.AsSpan(start, (int)offsets[count]);
        var expected = data.AsSpan(start + raw.Length);
        byte[] addresses = new byte[20 * count], statuses = new byte[count];
        using var lockstep = new Lockstep();
        var clock = Stopwatch.StartNew();
        lockstep.Recover(raw, offsets, addresses, statuses);
        var seconds = clock.Elapsed.TotalSeconds;
        if (!expected.SequenceEqual(addresses) || statuses.Any(status => status != Native.Ok))
        {
            Console.Error.WriteLine("another sender than expected");
            return 1;
        }
        Console.WriteLine($"{count} senders in {seconds:F6} s: {count / seconds:F0} a second");
        return 0;
    }
}
