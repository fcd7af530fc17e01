//! Superblocks and tables of partitions, made by hand, whole, cut off and of nonsense.

use super::*;

fn head(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut head = vec![0; HEAD];
    for (at, bytes) in parts {
        head[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    head
}

const UUID: [u8; 16] = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8];
const WORDS: &str = "12345678-9abc-def0-0102-030405060708";

#[test]
fn each_file_system_is_known_by_its_superblock() {
    let ext: &[(usize, &[u8])] = &[(0x438, &[0x53, 0xef]), (0x468, &UUID), (0x478, b"root")];
    let with = |more: &[(usize, &[u8])]| probe(&head(&[ext, more].concat())).unwrap();
    assert_eq!(with(&[]), Volume { kind: "ext2", uuid: WORDS.into(), label: "root".into() });
    assert_eq!(with(&[(0x45c, &[4])]).kind, "ext3");
    assert_eq!(with(&[(0x45c, &[4]), (0x460, &[0x42, 2])]).kind, "ext4");
    let found = |parts: &[(usize, &[u8])]| probe(&head(parts)).map(|v| (v.kind, v.uuid, v.label)).unwrap();
    let of = |kind, label: &str| (kind, WORDS.to_owned(), label.to_owned());
    assert_eq!(found(&[(0, b"XFSB"), (32, &UUID), (108, b"data")]), of("xfs", "data"));
    assert_eq!(found(&[(4086, b"SWAPSPACE2"), (1036, &UUID), (1052, b"sw")]), of("swap", "sw"));
    assert_eq!(
        found(&[(0x1_0040, b"_BHRfS_M"), (0x1_0020, &UUID), (0x1_012b, b"pool")]),
        of("btrfs", "pool")
    );
    let fat = found(&[
        (0x1fe, &[0x55, 0xaa]),
        (0x52, b"FAT32   "),
        (0x43, &[1, 2, 3, 0xab]),
        (0x47, b"BOOT       "),
    ]);
    assert_eq!(fat, ("vfat", "AB03-0201".into(), "BOOT".into()));
    let old = found(&[(0x1fe, &[0x55, 0xaa]), (0x36, b"FAT16"), (0x2b, b"NO NAME    ")]);
    assert_eq!((old.0, old.2.as_str()), ("vfat", ""));
    assert_eq!(found(&[(0, b"hsqs")]).0, "squashfs");
}

#[test]
fn what_is_no_superblock_is_nothing_and_one_that_is_cut_off_tells_what_it_can() {
    assert_eq!(probe(&[]), None);
    assert_eq!(probe(&[0xff; 3000]), None);
    assert_eq!(probe(&vec![0; HEAD]), None);
    let whole = head(&[(0x438, &[0x53, 0xef]), (0x468, &UUID)]);
    for length in 0..0x500 {
        let _ = probe(&whole[..length]);
    }
    assert_eq!(probe(&whole[..0x43a]).unwrap().uuid, "");
}

#[test]
fn a_partition_is_known_by_the_table_of_its_disk() {
    let mut gpt = vec![0; 34 * 512];
    gpt[512..520].copy_from_slice(b"EFI PART");
    gpt[512 + 72] = 2;
    gpt[512 + 84] = 128;
    gpt[1024 + 128 + 16..1024 + 128 + 32].copy_from_slice(&UUID);
    gpt[1024 + 128 + 56..1024 + 128 + 60].copy_from_slice(&[b'a', 0, b'b', 0]);
    let part = part_of(&gpt, 2).unwrap();
    assert_eq!((part.uuid.as_str(), part.label.as_str()), ("78563412-bc9a-f0de-0102-030405060708", "ab"));
    assert_eq!(part_of(&gpt, 0), None);
    assert_eq!(part_of(&gpt, usize::MAX), None);
    gpt[512 + 72..512 + 76].fill(0xff);
    assert_eq!(part_of(&gpt, 1), None);
    let mut mbr = vec![0; 512];
    mbr[440..444].copy_from_slice(&[0x78, 0x56, 0x34, 0x12]);
    assert_eq!(part_of(&mbr, 1), None);
    mbr[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(part_of(&mbr, 3).unwrap().uuid, "12345678-03");
    assert_eq!(part_of(&[], 1), None);
}

#[test]
fn what_is_not_there_is_waited_for_no_longer_than_wished() {
    assert_eq!(await_device("UUID=none-such", Duration::from_millis(1)), None);
    assert_eq!(await_device("/dev/null", Duration::ZERO), Some("/dev/null".into()));
    assert_eq!(find("tmpfs"), None);
    assert!(is_device("LABEL=x") && is_device("/dev/vda") && !is_device("tmpfs") && !is_device("a:/b"));
}
